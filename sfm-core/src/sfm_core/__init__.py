"""The core of SomaFractalMemory: domain model, ports, plugins, engine, conformance kit."""
