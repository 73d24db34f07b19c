"""The engine: one truth, derived stores that follow it, recall and ranking."""
