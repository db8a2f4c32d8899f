"""Wherry: a container engine. Docker's API, containers that outlive their daemon, nothing left behind."""

__version__ = "0.1.0"
