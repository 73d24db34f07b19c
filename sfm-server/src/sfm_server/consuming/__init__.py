"""The consumer as a process: what it consists of, its metrics, its health, its end."""
