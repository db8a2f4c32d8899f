"""The result of looking at one thing of the host, and a way to try what changes a process."""

import os
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """Whether it is there; a warning leaves something out that containers may want, what is missing they need."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


class Check(NamedTuple):
    """One thing: what was found, and, where it is not as it should be, what that means and what to do."""

    name: str
    verdict: Verdict
    found: str
    meaning: str = ""
    advice: str = ""


def ok(name: str, found: str) -> Check:
    """It is as it should be."""
    return Check(name, Verdict.OK, found)


def warning(name: str, found: str, meaning: str, advice: str) -> Check:
    """Containers run without it, but not all that some ask for works."""
    return Check(name, Verdict.WARNING, found, meaning, advice)


def missing(name: str, found: str, meaning: str, advice: str) -> Check:
    """Containers cannot run, or not safely, without it."""
    return Check(name, Verdict.MISSING, found, meaning, advice)


def why_not(work: Callable[[], object]) -> str:
    """Why something cannot be done, in the kernel's words; empty when it can.

    It is done by a child, so that namespaces, links and rules that it makes end with it. To be called in a process
    without threads.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, _failure_of(work).encode(errors="replace"))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as words:
        said = words.read()
    os.waitpid(child, 0)
    return said


def _failure_of(work: Callable[[], object]) -> str:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is told
        return str(error) or type(error).__name__
    return ""
