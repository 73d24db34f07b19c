"""Qdrant's engine in a process of its own, because it stops the one that it runs in."""
