"""Measurements of recall and of speed, each beside its raw cost."""
