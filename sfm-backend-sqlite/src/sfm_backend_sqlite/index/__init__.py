"""The search index in the process: it follows the points in the file by their change numbers."""
