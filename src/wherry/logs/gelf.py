"""The driver `gelf`: lines as messages of the Graylog Extended Log Format, by UDP in chunks or by TCP."""

import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from wherry.logs.addresses import Address, port_number, take_apart
from wherry.logs.connection import Datagrams, Stream
from wherry.logs.driver import Entry, Retry
from wherry.logs.options import parse_int
from wherry.logs.remote import RemoteDriver
from wherry.logs.subject import Subject
from wherry.logs.tags import tag_of
from wherry.model.clock import rfc3339
from wherry.model.errors import InvalidParameter

# GELF via UDP: a packet of at most 1420 bytes, or up to 128 chunks of such with 12 bytes of header each.
_PACKET_BYTES, _CHUNKS_MAX = 1420, 128
_CHUNK_BYTES = _PACKET_BYTES - 12
_CHUNK_MARK = b"\x1e\x0f"
_ERROR, _INFO = 3, 6
_COMPRESSION = {"gzip": 31, "zlib": 15, "none": 0}
_LEVELS = range(-1, 10)
_FOR_UDP = ("gelf-compression-type", "gelf-compression-level")
_FOR_TCP = ("gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay")
_MILLISECOND_NS = 1_000_000


class GelfDriver(RemoteDriver):
    """`wherry.logs.driver.LogDriver`."""

    name = "gelf"
    options = ("gelf-address", *_FOR_UDP, *_FOR_TCP)
    unknown_words = 'unknown log opt "{}" for gelf log driver'

    def check(self, options: Mapping[str, str]) -> None:
        """Raises InvalidParameter; a missing address comes first."""
        if not options.get("gelf-address"):
            raise InvalidParameter("gelf-address is a required parameter")
        super().check(options)

    def check_own(self, options: Mapping[str, str]) -> None:
        """Raises InvalidParameter."""
        address = _address(options)
        for name in _FOR_UDP:
            if address.scheme == "tcp" and name in options:
                raise InvalidParameter("compression is only supported on UDP")
        kind, level = options.get(_FOR_UDP[0], "gzip"), options.get(_FOR_UDP[1], "1")
        if kind not in _COMPRESSION:
            raise InvalidParameter(f'unknown value "{kind}" for log opt "{_FOR_UDP[0]}" for gelf log driver')
        if not level.removeprefix("-").isdecimal() or int(level) not in _LEVELS:
            raise InvalidParameter(f'unknown value "{level}" for log opt "{_FOR_UDP[1]}" for gelf log driver')
        for name in _FOR_TCP:
            if name in options:
                _check_number(address, name, options[name])

    def sender(self, subject: Subject) -> "GelfSender":
        """Raises InvalidParameter."""
        return GelfSender(subject)


class GelfSender:
    """`wherry.logs.driver.Sender`."""

    def __init__(self, subject: Subject) -> None:
        """Raises InvalidParameter."""
        options = subject.options
        self._address = _address(options)
        self._connection = Stream(self._address) if self._address.scheme == "tcp" else Datagrams(self._address)
        self._host_name = subject.host_name
        self._bits = _COMPRESSION[options.get("gelf-compression-type", "gzip")]
        self._level = parse_int(options.get("gelf-compression-level", "1"))
        self._extra = dict(sorted(_extra(subject).items()))
        self.retry = _retry(options)

    async def open(self) -> None:
        """Raises OSError."""
        try:
            await self._connection.open()
        except OSError as error:
            words = error.strerror or str(error)
            raise OSError(f"gelf: cannot connect to GELF endpoint: {self._address.target} {words}") from None

    async def send(self, entries: Sequence[Entry]) -> None:
        """Empty lines are left out, as dockerd does. Raises OSError."""
        messages = [self._message(entry) for entry in entries if entry.text]
        if isinstance(self._connection, Stream):
            await self._connection.send(b"".join(message + b"\0" for message in messages))
            return
        for message in messages:
            for packet in packets(self._compressed(message)):
                await self._connection.send(packet)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    def _message(self, entry: Entry) -> bytes:
        message = {
            "version": "1.1",
            "host": self._host_name,
            "short_message": entry.text.decode(errors="replace"),
            "timestamp": entry.time_ns // _MILLISECOND_NS / 1000,
            "level": _ERROR if entry.stream == "stderr" else _INFO,
            **self._extra,
        }
        return msgspec.json.encode(message)

    def _compressed(self, message: bytes) -> bytes:
        if not self._bits:
            return message
        squeezer = zlib.compressobj(self._level, zlib.DEFLATED, self._bits)
        return squeezer.compress(message) + squeezer.flush()


def packets(message: bytes) -> list[bytes]:
    """A message as what goes into datagrams; nothing where it is too long for the format."""
    if len(message) <= _PACKET_BYTES:
        return [message]
    count = -(-len(message) // _CHUNK_BYTES)
    if count > _CHUNKS_MAX:
        return []
    head = _CHUNK_MARK + os.urandom(8)
    parts = (message[start : start + _CHUNK_BYTES] for start in range(0, len(message), _CHUNK_BYTES))
    return [head + bytes((number, count)) + part for number, part in enumerate(parts)]


def _extra(subject: Subject) -> dict[str, Any]:
    return {
        "_container_id": subject.id,
        "_container_name": subject.name,
        "_image_id": subject.image_id,
        "_image_name": subject.image_name,
        "_command": " ".join(subject.command),
        "_tag": tag_of(subject),
        "_created": rfc3339(subject.created_ns),
        **subject.extra_attributes(lambda name: name if name.startswith("_") else f"_{name}"),
    }


def _retry(options: Mapping[str, str]) -> Retry:
    """Who names a number of attempts wants lines dropped after them; by itself we never give up."""
    attempts, delay = (options.get(name) for name in _FOR_TCP)
    attempts_max = int(attempts) if attempts else None
    if not delay or delay == "0":
        return Retry(attempts_max=attempts_max)
    return Retry(first_seconds=float(delay), longest_seconds=float(delay), attempts_max=attempts_max)


def _address(options: Mapping[str, str]) -> Address:
    parts = take_apart(options.get("gelf-address", ""))
    if parts.scheme not in {"udp", "tcp"}:
        raise InvalidParameter("gelf: endpoint needs to be TCP or UDP")
    if not parts.port:
        raise InvalidParameter("gelf: please provide gelf-address as proto://host:port")
    return Address(parts.scheme, parts.host, port_number(parts.port, 0))


def _check_number(address: Address, name: str, value: str) -> None:
    if address.scheme != "tcp":
        raise InvalidParameter(f'"{name}" is only valid for TCP')
    if not (value.isascii() and value.isdecimal()):
        raise InvalidParameter(f'"{name}" must be a positive integer')
