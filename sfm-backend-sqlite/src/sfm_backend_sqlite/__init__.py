"""SQLite backends of SomaFractalMemory: truth, graph, vectors and events in one file."""
