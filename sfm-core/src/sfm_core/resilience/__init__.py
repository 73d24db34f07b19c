"""Deadlines, retries and circuit breakers around any port."""
