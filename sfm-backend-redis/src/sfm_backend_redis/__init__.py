"""Key-value store, graph and cache of SomaFractalMemory on Redis or Valkey."""
