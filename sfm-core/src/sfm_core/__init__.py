"""Domain model, ports, plugin system and memory engine of SomaFractalMemory."""
