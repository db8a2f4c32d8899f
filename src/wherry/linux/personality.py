"""personality(2): what kind of machine a process is told it runs on."""

import ctypes

from wherry.linux.libc import checked, declare

DOMAINS: dict[str, int] = {"LINUX": 0x0, "LINUX32": 0x8}

_personality = declare("personality", ctypes.c_ulong)


def set_domain(name: str) -> None:
    """Take on a domain by the runtime-spec's name. Raises OSError."""
    checked(_personality(DOMAINS[name]), "personality", name)
