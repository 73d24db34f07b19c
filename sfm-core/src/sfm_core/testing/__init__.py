"""The conformance kit: what a backend must pass, for us and for third parties."""
