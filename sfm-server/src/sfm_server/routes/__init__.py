"""The endpoints, by group."""
