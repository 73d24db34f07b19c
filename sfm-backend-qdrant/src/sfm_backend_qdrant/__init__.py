"""The vector store of SomaFractalMemory on Qdrant."""
