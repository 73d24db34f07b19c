"""Values of the domain; no input, no output."""
