"""Vectors in LanceDB, for SomaFractalMemory."""
