"""Figures, traces and log lines: what an operator sees of the server."""
