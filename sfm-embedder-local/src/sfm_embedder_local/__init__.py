"""Text embedders for SomaFractalMemory that work offline from wheels."""
