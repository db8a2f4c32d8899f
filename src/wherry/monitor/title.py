"""What ps(1) shows of a process: its name, and a command line that says whose it is."""

import ctypes
import functools

ROOM = " " * 120
"""An argument to start a program with, so that there is room for a longer title."""


def set_title(name: str, command_line: str) -> None:
    """Set the name (15 bytes count) and the command line, as much of it as there is room for."""
    with open("/proc/self/comm", "wb", buffering=0) as comm:
        comm.write(name.encode())
    start, end = _arguments()
    text = command_line.encode()[: end - start - 1]
    # Writing where the arguments lie needs no privilege, PR_SET_MM would.
    ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


@functools.cache
def _arguments() -> tuple[int, int]:
    """Where the arguments lie; the same in every fork."""
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    # proc(5): fields 48 and 49 are arg_start and arg_end; the first after the name is field 3.
    return int(fields[45]), int(fields[46])
