"""Event sink of SomaFractalMemory for Kafka and Redpanda."""
