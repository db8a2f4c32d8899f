"""The one error of templates."""

from __future__ import annotations


class TemplateError(Exception):
    """A template that cannot be read or does not fit its value; the message is in Go's words."""
