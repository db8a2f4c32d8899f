"""The daemon's own log, on stderr, in the two formats of dockerd's: logfmt text and JSON."""

import json
import logging
import re
import sys
import traceback

from wherry.model.clock import rfc3339

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
_NAMES = {logging.CRITICAL: "fatal", logging.ERROR: "error", logging.WARNING: "warning", logging.DEBUG: "debug"}
_PLAIN = re.compile(r"[A-Za-z0-9._/@^+-]+")


def set_up(level: str, log_format: str) -> None:
    """Send everything to stderr. Call it once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # asyncio speaks of slow callbacks and the like, which is not what a user asks about.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    set_level(level)


def set_level(level: str) -> None:
    """Show messages of this level and above."""
    logging.getLogger().setLevel(LEVELS[level])


def _fields(record: logging.LogRecord) -> dict[str, str]:
    fields = {
        "time": rfc3339(int(record.created * 1_000_000) * 1000),
        "level": _NAMES.get(record.levelno, "info"),
        "msg": record.getMessage(),
    }
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        fields["error"] = f"{type(error).__name__}: {error}"
        fields["stack"] = "".join(traceback.format_tb(record.exc_info[2]))
    return fields


class _Text(logging.Formatter):
    """`time="…" level=info msg="…"`, as logrus writes it."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quoted(name, value)}" for name, value in _fields(record).items())


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record), ensure_ascii=False)


def _quoted(name: str, value: str) -> str:
    # logrus quotes the time always, and a message of one plain word never.
    return value if name != "time" and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
