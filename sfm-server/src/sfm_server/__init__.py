"""HTTP API and command line of SomaFractalMemory."""
