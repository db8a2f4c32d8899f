"""Execution drivers behind one Protocol: native."""
