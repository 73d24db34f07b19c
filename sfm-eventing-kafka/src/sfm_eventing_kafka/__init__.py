"""Event sink and event source of SomaFractalMemory for Kafka and Redpanda."""
