"""Fixtures for tests that need containers: `engine`, `container` and its likes for a module and a session.

Registered by the entry point `pytest11`; docs/python.md says how to use it. Every pytest imports this room, so it
imports nothing of the library before a fixture is asked for.
"""

from wherry.pytest_plugin.fixtures import container, engine, module_container, session_container
from wherry.pytest_plugin.hooks import (
    pytest_addoption,
    pytest_configure,
    pytest_report_header,
    pytest_runtest_makereport,
)

__all__ = [
    "container",
    "engine",
    "module_container",
    "pytest_addoption",
    "pytest_configure",
    "pytest_report_header",
    "pytest_runtest_makereport",
    "session_container",
]
