"""Flags, configuration, and the one place that names concrete drivers and puts the engine together."""
