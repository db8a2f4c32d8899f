"""The driver `fluentd`: lines as records of Fluentd's forward protocol, MessagePack over TCP, TLS or a unix socket."""

import os
import ssl
import struct
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from wherry.logs.addresses import Address, Parts, port_number, take_apart
from wherry.logs.connection import SEND_SECONDS, Stream
from wherry.logs.driver import Entry, Retry
from wherry.logs.durations import parse_duration
from wherry.logs.options import parse_bool, parse_uint, read_said
from wherry.logs.partial import part_fields
from wherry.logs.remote import RemoteDriver
from wherry.logs.subject import Subject
from wherry.logs.tags import tag_of
from wherry.model.clock import NANOSECONDS
from wherry.model.errors import InvalidParameter
from wherry.model.units import parse_bytes

PORT = 24224
_SCHEMES = ("tcp", "tls")
_RENEW_SECONDS = (0.1, 10.0)
_EVENT_TIME = struct.Struct(">II")
_ANSWER_BYTES = 4096
_ENCODER = msgspec.msgpack.Encoder()


class FluentdDriver(RemoteDriver):
    """`wherry.logs.driver.LogDriver`."""

    name = "fluentd"
    options = (
        "fluentd-address", "fluentd-async", "fluentd-async-reconnect-interval", "fluentd-buffer-limit",
        "fluentd-max-retries", "fluentd-request-ack", "fluentd-retry-wait", "fluentd-sub-second-precision",
        "fluentd-write-timeout",
    )  # fmt: skip

    def check_own(self, options: Mapping[str, str]) -> None:
        """Raises InvalidParameter."""
        _Settings(options)

    def sender(self, subject: Subject) -> "FluentdSender":
        """Raises InvalidParameter."""
        return FluentdSender(subject)


class FluentdSender:
    """`wherry.logs.driver.Sender`."""

    def __init__(self, subject: Subject) -> None:
        """Raises InvalidParameter."""
        settings = _Settings(subject.options)
        self.retry = settings.retry
        self._settings = settings
        self._container_id = subject.id
        self._tag = tag_of(subject)
        self._fields = {
            "container_id": subject.id,
            "container_name": f"/{subject.name}",
            **subject.extra_attributes(),
        }
        tls = ssl.create_default_context() if settings.address.scheme == "tls" else None
        self._connection = Stream(
            settings.address,
            tls=tls,
            send_seconds=settings.write_seconds or SEND_SECONDS,
            renew_seconds=settings.renew_seconds,
        )

    async def open(self) -> None:
        """Raises OSError, but not with `fluentd-async`: then a server may come later."""
        try:
            await self._connection.open()
        except OSError:
            if not self._settings.is_async:
                raise

    async def send(self, entries: Sequence[Entry]) -> None:
        """As many in one message as the buffer's limit allows. Raises OSError."""
        batch: list[list[Any]] = []
        size = 0
        for entry in entries:
            if batch and size + len(entry.text) > self._settings.bytes_max:
                await self._send(batch)
                batch, size = [], 0
            batch.append([self._time(entry), self._record(entry)])
            size += len(entry.text)
        if batch:
            await self._send(batch)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def _send(self, batch: list[list[Any]]) -> None:
        """Forward mode; with `fluentd-request-ack` the server says that it has it."""
        option: dict[str, Any] = {"size": len(batch)}
        if self._settings.wants_ack:
            option["chunk"] = b64encode(os.urandom(16)).decode()
        await self._connection.send(_ENCODER.encode([self._tag, batch, option]))
        if self._settings.wants_ack:
            answer = await self._connection.answer(_ANSWER_BYTES)
            if not answer or _acknowledged(answer) != option["chunk"]:
                await self._connection.close()
                raise ConnectionResetError("the server did not acknowledge what it was sent")

    def _time(self, entry: Entry) -> int | msgspec.msgpack.Ext:
        seconds, nanoseconds = divmod(entry.time_ns, NANOSECONDS)
        if self._settings.is_precise:
            return msgspec.msgpack.Ext(0, _EVENT_TIME.pack(seconds, nanoseconds))
        return seconds

    def _record(self, entry: Entry) -> dict[str, str]:
        record = {**self._fields, "source": entry.stream, "log": entry.text.decode(errors="replace")}
        if entry.part:
            record["partial_message"] = "true"
            record |= {f"partial_{name}": value for name, value in part_fields(self._container_id, entry).items()}
        return record


class _Settings:
    """The options, understood. Raises InvalidParameter in dockerd's words."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.address = _address(options.get("fluentd-address", ""))
        self.bytes_max = read_said(options, "fluentd-buffer-limit", parse_bytes, 1024 * 1024)
        wait = read_said(options, "fluentd-retry-wait", parse_duration, 1.0)
        attempts = read_said(options, "fluentd-max-retries", parse_uint, 0)
        self.retry = Retry(first_seconds=wait, attempts_max=attempts or None)
        self.is_async = read_said(options, "fluentd-async", parse_bool, False)
        name = "fluentd-async-reconnect-interval"
        self.renew_seconds = read_said(options, name, parse_duration, 0.0, words=f"invalid value for {name}: {{}}")
        if self.renew_seconds and not _RENEW_SECONDS[0] <= self.renew_seconds <= _RENEW_SECONDS[1]:
            raise InvalidParameter(f'invalid value for {name}: value ("{options[name]}") must be between 100ms and 10s')
        self.is_precise = read_said(options, "fluentd-sub-second-precision", parse_bool, False)
        self.wants_ack = read_said(options, "fluentd-request-ack", parse_bool, False)
        name = "fluentd-write-timeout"
        words = f"invalid value for {name}: value must be a duration: {{}}"
        self.write_seconds = read_said(options, name, parse_duration, 0.0, words=words)
        if self.write_seconds < 0:
            raise InvalidParameter(f"invalid value for {name}: value must be positive: {options[name]}")


def _address(said: str) -> Address:
    if not said:
        return Address("tcp", "127.0.0.1", PORT)
    try:
        return _read_address(take_apart(said if "://" in said else f"tcp://{said}"))
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid fluentd-address ({said}): {error}") from None


def _read_address(parts: Parts) -> Address:
    if parts.scheme == "unix":
        if not parts.path:
            raise InvalidParameter("path is empty")
        return Address(parts.scheme, path=parts.path)
    if parts.scheme not in _SCHEMES:
        raise InvalidParameter(f"unsupported scheme: '{parts.scheme}'")
    if parts.path not in {"", "/"}:
        raise InvalidParameter("should not contain a path element")
    return Address(parts.scheme, parts.host or "127.0.0.1", port_number(parts.port, PORT))


def _acknowledged(answer: bytes) -> str:
    try:
        return str(msgspec.msgpack.decode(answer, type=dict[str, Any]).get("ack"))
    except msgspec.DecodeError:
        return ""
