"""The driver `syslog`: lines as RFC 3164 and RFC 5424 messages over UDP, TCP, TLS and unix sockets."""

import asyncio
import os
import ssl
import stat
import time
from collections.abc import Callable, Mapping, Sequence

from wherry.logs.addresses import UNIX, Address, port_number, take_apart
from wherry.logs.connection import Datagrams, Stream
from wherry.logs.driver import Entry, Retry
from wherry.logs.remote import RemoteDriver
from wherry.logs.subject import Subject
from wherry.logs.tags import tag_of
from wherry.model.clock import NANOSECONDS
from wherry.model.errors import InvalidParameter

PORT = 514
_TLS = "tcp+tls"
_SCHEMES = ("udp", "tcp", _TLS, *UNIX)
# Where the host's own syslog listens (srslog; Go's log/syslog).
_LOCAL = ("/dev/log", "/var/run/syslog", "/var/run/log")
_NAMES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp - - - - "
    "local0 local1 local2 local3 local4 local5 local6 local7"
)
_FACILITIES = {name: number for number, name in enumerate(_NAMES.split()) if name != "-"}
_DAEMON = _FACILITIES["daemon"]
_ERROR, _INFO = 3, 6
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Format = Callable[[int, Subject, str, Entry], str]


class SyslogDriver(RemoteDriver):
    """`wherry.logs.driver.LogDriver`."""

    name = "syslog"
    options = (
        "syslog-address", "syslog-facility", "syslog-format",
        "syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify",
    )  # fmt: skip

    def check_own(self, options: Mapping[str, str]) -> None:
        """Raises InvalidParameter."""
        _address(options)
        _facility(options)
        _format(options)

    def sender(self, subject: Subject) -> "SyslogSender":
        """Raises InvalidParameter."""
        return SyslogSender(subject)


class SyslogSender:
    """`wherry.logs.driver.Sender`."""

    retry = Retry()

    def __init__(self, subject: Subject) -> None:
        """Raises InvalidParameter."""
        options = subject.options
        self._subject = subject
        self._tag = f"{tag_of(subject)}"
        self._facility = _facility(options)
        self._address = _address(options)
        self._format = _format(options)
        self._counts_bytes = self._address.scheme == _TLS and options.get("syslog-format", "").startswith("rfc5424")
        self._tls = _tls(options) if self._address.scheme == _TLS else None
        self._connection: Stream | Datagrams | None = None

    async def open(self) -> None:
        """Raises OSError."""
        if not self._address.scheme:
            self._connection = await _open_local()
            return
        by_stream = self._address.scheme in {"tcp", _TLS, "unix"}
        connection = Stream(self._address, tls=self._tls) if by_stream else Datagrams(self._address)
        await connection.open()
        self._connection = connection

    async def send(self, entries: Sequence[Entry]) -> None:
        """Empty lines are left out, as dockerd does. Raises OSError."""
        if self._connection is None:
            await self.open()
        messages = [self._message(entry) for entry in entries if entry.text]
        if isinstance(self._connection, Stream):
            await self._connection.send(b"".join(messages))
        elif self._connection:
            for message in messages:
                await self._connection.send(message)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._connection:
            await self._connection.close()

    def _message(self, entry: Entry) -> bytes:
        priority = self._facility * 8 + (_ERROR if entry.stream == "stderr" else _INFO)
        head = self._format(priority, self._subject, self._tag, entry).encode()
        message = head + entry.text + b"\n"
        # RFC 5425: messages over TLS are counted.
        return b"%d %s" % (len(message), message) if self._counts_bytes else message


def _plain(priority: int, _: Subject, tag: str, entry: Entry) -> str:
    return f"<{priority}>{_stamp(entry.time_ns)} {tag}[{os.getpid()}]: "


def _rfc3164(priority: int, subject: Subject, tag: str, entry: Entry) -> str:
    return f"<{priority}>{_stamp(entry.time_ns)} {subject.host_name} {tag}[{os.getpid()}]: "


def _rfc5424(priority: int, subject: Subject, tag: str, entry: Entry) -> str:
    when = _rfc3339(entry.time_ns, "")
    return f"<{priority}>1 {when} {subject.host_name} {tag} {os.getpid()} {tag} - "


def _rfc5424_micro(priority: int, subject: Subject, tag: str, entry: Entry) -> str:
    when = _rfc3339(entry.time_ns, f".{entry.time_ns % NANOSECONDS // 1000:06}")
    return f"<{priority}>1 {when} {subject.host_name} {tag} {os.getpid()} {tag} - "


_FORMATS: dict[str, Format] = {
    "": _plain, "rfc3164": _rfc3164, "rfc5424": _rfc5424, "rfc5424micro": _rfc5424_micro,
}  # fmt: skip


def _stamp(time_ns: int) -> str:
    """The local time of RFC 3164."""
    local = time.localtime(time_ns // NANOSECONDS)
    return f"{_MONTHS[local.tm_mon - 1]} {local.tm_mday:2} {local.tm_hour:02}:{local.tm_min:02}:{local.tm_sec:02}"


def _rfc3339(time_ns: int, fraction: str) -> str:
    """The local time with its offset."""
    local = time.localtime(time_ns // NANOSECONDS)
    sign, minutes = ("-" if local.tm_gmtoff < 0 else "+"), abs(local.tm_gmtoff) // 60
    zone = f"{sign}{minutes // 60:02}:{minutes % 60:02}" if minutes else "Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + fraction + zone


def _address(options: Mapping[str, str]) -> Address:
    """Without a scheme: the host's own syslog."""
    said = options.get("syslog-address", "")
    if not said:
        return Address("")
    parts = take_apart(said)
    if parts.scheme not in _SCHEMES:
        raise InvalidParameter(f"unsupported scheme: '{parts.scheme}'")
    if parts.scheme in UNIX:
        try:
            os.stat(parts.path)
        except OSError as error:
            words = os.strerror(error.errno or 0).lower()
            raise InvalidParameter(f"stat {parts.path}: {words}") from None
        return Address(parts.scheme, path=parts.path)
    return Address(parts.scheme, parts.host, port_number(parts.port, PORT))


def _facility(options: Mapping[str, str]) -> int:
    said = options.get("syslog-facility", "")
    if not said:
        return _DAEMON
    if said in _FACILITIES:
        return _FACILITIES[said]
    if said.isdecimal() and int(said) < len(_NAMES.split()):
        return int(said)
    raise InvalidParameter("invalid syslog facility")


def _format(options: Mapping[str, str]) -> Format:
    found = _FORMATS.get(options.get("syslog-format", ""))
    if found is None:
        raise InvalidParameter("Invalid syslog format")
    return found


def _tls(options: Mapping[str, str]) -> ssl.SSLContext:
    """As dockerd: what matters of `skip-verify` is that it is there. Raises InvalidParameter."""
    context = ssl.create_default_context()
    authority = options.get("syslog-tls-ca-cert")
    certificate, key = options.get("syslog-tls-cert", ""), options.get("syslog-tls-key", "")
    try:
        if authority:
            context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise InvalidParameter(_words("could not read CA certificate", authority or "", error)) from None
    try:
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidParameter(_words("could not load X509 key pair", certificate, error)) from None
    if "syslog-tls-skip-verify" in options:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _words(what: str, path: str, error: OSError) -> str:
    reason = f"open {path}: {os.strerror(error.errno).lower()}" if error.errno in {2, 13} else str(error)
    return f'{what} "{path}": {reason}'


async def _open_local() -> Stream | Datagrams:
    for path in _LOCAL:
        if not await asyncio.to_thread(_is_socket, path):
            continue
        for kind, scheme in ((Datagrams, "unixgram"), (Stream, "unix")):
            connection = kind(Address(scheme, path=path))
            try:
                await connection.open()
            except OSError:
                continue
            return connection
    raise OSError("Unix syslog delivery error")


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
