"""What can be done with an engine, one module per kind of operation."""
