"""Telling whoever started the daemon how it is: systemd by sd_notify(3), others by a descriptor."""

import os
import socket
from collections.abc import Mapping

READY_LINE = b"ready\n"


def announce_ready(ready_fd: int | None, environment: Mapping[str, str]) -> None:
    """Requests are served from now on. The descriptor is written to and closed."""
    notify("READY=1", environment)
    if ready_fd is not None:
        try:
            os.write(ready_fd, READY_LINE)
        finally:
            os.close(ready_fd)


def notify(state: str, environment: Mapping[str, str]) -> None:
    """Tell systemd, if it wants to know. Someone who does not listen is no error."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # An @ stands for the zero byte of an abstract socket.
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messenger:
        try:
            messenger.sendto(state.encode(), address)
        except OSError:
            return
