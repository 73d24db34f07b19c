"""PostgreSQL backends of SomaFractalMemory: truth, graph and event log in one database."""
