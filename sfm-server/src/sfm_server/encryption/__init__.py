"""Encryption at rest: values of the truth are encrypted before a store sees them."""
