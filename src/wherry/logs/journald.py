"""The driver `journald`: lines as entries of systemd's journal, by its native protocol."""

import errno
import fcntl
import os
import re
import struct
from collections.abc import Mapping, Sequence

from wherry.logs.addresses import Address
from wherry.logs.connection import Datagrams
from wherry.logs.driver import Entry, Retry
from wherry.logs.partial import part_fields
from wherry.logs.remote import RemoteDriver
from wherry.logs.subject import Subject
from wherry.logs.tags import tag_of
from wherry.model.clock import rfc3339

SOCKET = "/run/systemd/journal/socket"
_ERROR, _INFO = "3", "6"
_LENGTH = struct.Struct("<Q")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_TOO_LONG = (errno.EMSGSIZE, errno.ENOBUFS)


class JournaldDriver(RemoteDriver):
    """`wherry.logs.driver.LogDriver`."""

    name = "journald"

    def check_own(self, options: Mapping[str, str]) -> None:
        """It has no options of its own."""

    def sender(self, subject: Subject) -> "JournaldSender":
        """Raises InvalidParameter."""
        return JournaldSender(subject)


class JournaldSender:
    """`wherry.logs.driver.Sender`."""

    retry = Retry()

    def __init__(self, subject: Subject, path: str = SOCKET) -> None:
        """Raises InvalidParameter."""
        tag = tag_of(subject)
        self._container_id = subject.id
        self._connection = Datagrams(Address("unixgram", path=path))
        self._ordinal = 0
        self._fields = {
            "CONTAINER_ID": subject.short_id,
            "CONTAINER_ID_FULL": subject.id,
            "CONTAINER_NAME": subject.name,
            "CONTAINER_TAG": tag,
            "IMAGE_NAME": subject.image_name,
            "SYSLOG_IDENTIFIER": tag,
            # Together with the ordinal it gives the order of lines whose times are equal.
            "CONTAINER_LOG_EPOCH": os.urandom(32).hex(),
            **subject.extra_attributes(field_name),
        }

    async def open(self) -> None:
        """Raises OSError."""
        try:
            await self._connection.open()
        except OSError:
            raise OSError("journald is not enabled on this host") from None

    async def send(self, entries: Sequence[Entry]) -> None:
        """One datagram for each. Raises OSError."""
        for entry in entries:
            self._ordinal += 1
            message = self._message(entry)
            try:
                await self._connection.send(message)
            except OSError as error:
                if error.errno not in _TOO_LONG:
                    raise
                await self._send_by_file(message)

    async def close(self) -> None:
        """Let go of the socket."""
        await self._connection.close()

    async def _send_by_file(self, message: bytes) -> None:
        """What is too long for a datagram goes as a sealed memfd (systemd: Native Journal Protocol)."""
        fd = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            view = memoryview(message)
            while view:
                view = view[os.write(fd, view) :]
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            await self._connection.send(b"", (fd,))
        finally:
            os.close(fd)

    def _message(self, entry: Entry) -> bytes:
        fields = {
            **self._fields,
            "PRIORITY": _ERROR if entry.stream == "stderr" else _INFO,
            "SYSLOG_TIMESTAMP": rfc3339(entry.time_ns),
            "CONTAINER_LOG_ORDINAL": str(self._ordinal),
        }
        if entry.part:
            found = part_fields(self._container_id, entry)
            fields |= {f"CONTAINER_PARTIAL_{name.upper()}": value for name, value in found.items()}
            if not entry.is_last:
                fields["CONTAINER_PARTIAL_MESSAGE"] = "true"
        return _field("MESSAGE", entry.text) + b"".join(_field(name, value.encode()) for name, value in fields.items())


def field_name(name: str) -> str:
    """A label's or variable's name as the journal takes it: large letters, digits, underscores, none at the front."""
    return re.sub("[^A-Z0-9_]", "_", re.sub("[a-z]+", lambda found: found[0].upper(), name)).lstrip("_")


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + _LENGTH.pack(len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"
