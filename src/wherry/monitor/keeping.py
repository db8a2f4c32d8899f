"""What is said to the keeper and by it: records in packets over SOCK_SEQPACKET, each with its descriptors.

An owner is a container's id. What is kept for it has names and a body that the keeper does not look into.

```
PUT     a monitor:  keep these descriptors, in place of what has the name; `pid` is the process they are about, `by`
                    the monitor
DROP    anybody:    let go of the name, or with an empty one of all; the descriptors are closed when that is done
GIVE    a daemon:   what is kept for the owner? Answered by an ITEM for each, with copies, then END
ITEM    the keeper: something kept; with a `pid` one more descriptor tells how that process has ended
SPAWN   a daemon:   start a nursery; the body is its arguments, NUL between them, the descriptors are its connection
                    and its stderr. Answered by an ITEM with its pid and pidfd, then END
FAILED  the keeper: that could not be done; the body says why
LINE    a daemon:   serve this connection as well
```
A descriptor that tells an end gives `CODE NANOSECONDS` (as in ExitRecord), or nothing when the keeper cannot know.
It imports as little as can be: the keeper is to stay small.
"""

import _socket
import os
import struct

PUT, DROP, GIVE, ITEM, END, SPAWN, FAILED, LINE = b"P", b"D", b"G", b"I", b"E", b"S", b"X", b"L"

PACKET_BYTES_MAX = 65536
PACKET_FDS_MAX = 250
"""One packet takes 253 (unix(7))."""

_HEAD = struct.Struct("=cBHHIII")
_INT = struct.Struct("i")
_ANCILLARY_BYTES = _socket.CMSG_SPACE(253 * _INT.size)


class Record:
    """One record as said above."""

    __slots__ = ("body", "by", "fds", "name", "owner", "pid", "what")

    def __init__(
        self,
        what: bytes,
        owner: bytes = b"",
        name: bytes = b"",
        body: bytes = b"",
        *,
        pid: int = 0,
        by: int = 0,
        fds: tuple[int, ...] = (),
    ) -> None:
        """Hold what is said; nothing of it is changed later."""
        self.what, self.owner, self.name, self.body = what, owner, name, body
        self.pid, self.by, self.fds = pid, by, fds


class Broken(ConnectionError):
    """The other side is gone, or what it says is no packet."""


def packets(records: list[Record]) -> list[tuple[bytes, list[int]]]:
    """As few packets as hold these records, each of which has to fit into one."""
    found: list[tuple[bytes, list[int]]] = []
    data, fds = b"", list[int]()
    for record in records:
        text = _write(record)
        if data and (len(data) + len(text) > PACKET_BYTES_MAX or len(fds) + len(record.fds) > PACKET_FDS_MAX):
            found.append((data, fds))
            data, fds = b"", []
        data += text
        fds += record.fds
    return [*found, (data, fds)] if data else found


def send(connection: _socket.socket, packet: tuple[bytes, list[int]], flags: int = 0) -> None:
    """Send one packet; its descriptors stay the caller's. Raises BlockingIOError, OSError."""
    data, fds = packet
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
    connection.sendmsg([data], rights, flags | _socket.MSG_NOSIGNAL)


def receive(connection: _socket.socket) -> list[Record]:
    """One packet's records, with close-on-exec descriptors. Raises BlockingIOError, Broken."""
    flags = _socket.MSG_DONTWAIT | _socket.MSG_CMSG_CLOEXEC
    try:
        data, ancillary, flags, _ = connection.recvmsg(PACKET_BYTES_MAX, _ANCILLARY_BYTES, flags)
    except ConnectionError as error:
        raise Broken(str(error)) from None
    fds = [
        number
        for level, kind, rights in ancillary
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for (number,) in _INT.iter_unpack(rights[: len(rights) // _INT.size * _INT.size])
    ]
    records = None if not data or flags & (_socket.MSG_CTRUNC | _socket.MSG_TRUNC) else _cut(data, fds)
    if records is None:
        close_all(fds)
        raise Broken("the connection has ended" if not data else "a packet makes no sense")
    return records


def close_all(fds: tuple[int, ...] | list[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)


def _write(record: Record) -> bytes:
    texts = (record.owner, record.name, record.body)
    head = _HEAD.pack(record.what, len(record.fds), *map(len, texts), record.pid, record.by)
    return b"".join((head, *texts))


def _cut(data: bytes, fds: list[int]) -> list[Record] | None:
    records, at, taken = [], 0, 0
    while at < len(data):
        if at + _HEAD.size > len(data):
            return None
        what, count, *lengths, pid, by = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        texts = []
        for length in lengths:
            texts.append(data[at : at + length])
            at += length
        records.append(Record(what, *texts, pid=pid, by=by, fds=tuple(fds[taken : taken + count])))
        taken += count
    return records if at == len(data) and taken == len(fds) else None
