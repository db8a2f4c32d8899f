"""Servers that speak what log drivers send, and tell what they were told."""

import asyncio
import contextlib
import gzip
import json
import os
import socket
import ssl
import struct
import subprocess
import zlib

import msgpack
import pytest

SECONDS = 20


class Receiver:
    """A server of one protocol. `messages` are what it got, each as its driver's fields."""

    def __init__(self, root, options):
        self.options = options
        self.root = root
        self.messages = []
        self.raw = []
        self.more = asyncio.Event()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    def take(self, message):
        self.messages.append(message)
        self.more.set()

    async def until(self, count):
        async with asyncio.timeout(SECONDS):
            while len(self.messages) < count:
                self.more.clear()
                await self.more.wait()
        return self.messages

    @property
    def lines(self):
        """Text and stream of each message."""
        return [(self.text(message), self.stream(message)) for message in self.messages]


class Datagrams(Receiver):
    """By UDP, or a unix socket at `path`."""

    def __init__(self, root, options, path=None):
        super().__init__(root, options)
        self.path = path
        self.family = socket.AF_UNIX if path else socket.AF_INET
        self.socket = socket.socket(self.family, socket.SOCK_DGRAM)
        self.socket.bind(str(path) if path else ("127.0.0.1", 0))
        self.address = str(path) if path else self.socket.getsockname()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.setblocking(False)

    async def start(self):
        asyncio.get_running_loop().add_reader(self.socket, self._read)

    async def stop(self):
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()
        if self.path:
            os.unlink(self.path)

    def _read(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                data, fds, _, _ = socket.recv_fds(self.socket, 1 << 18, 1)
                for fd in fds:
                    with open(fd, "rb") as file:
                        file.seek(0)
                        data = file.read()
                self.raw.append(data)
                self.datagram(data)


class Streams(Receiver):
    """By TCP, TLS or a unix socket. It can go away and come back at the same address."""

    def __init__(self, root, options, path=None, tls=None):
        super().__init__(root, options)
        self.path = path
        self.tls = tls
        self.port = 0
        self.writers = set()
        self.server = None

    async def start(self):
        if self.path:
            self.server = await asyncio.start_unix_server(self._serve, self.path)
        else:
            self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
            self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self):
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await self.server.wait_closed()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    async def _serve(self, reader, writer):
        self.writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.serve(reader, writer)
        self.writers.discard(writer)
        writer.close()


class Syslog:
    """`<27>Nov 21 10:31:13 tag[76]: text`."""

    def text(self, message):
        return message.partition(b" - " if b"<" in message and b">1 " in message[:6] else b"]: ")[2].rstrip(b"\n")

    def stream(self, message):
        return "stderr" if int(message[1 : message.index(b">")]) % 8 == 3 else "stdout"


class SyslogDatagrams(Syslog, Datagrams):
    def datagram(self, data):
        self.take(data)


class SyslogStreams(Syslog, Streams):
    async def serve(self, reader, _):
        while line := await reader.readline():
            self.take(line)


class SyslogCounted(Syslog, Streams):
    """RFC 5425."""

    async def serve(self, reader, _):
        while True:
            count = int(await reader.readuntil(b" "))
            self.take(await reader.readexactly(count))


class Gelf:
    def text(self, message):
        return message["short_message"].encode()

    def stream(self, message):
        return {3: "stderr", 6: "stdout"}[message["level"]]


class GelfDatagrams(Gelf, Datagrams):
    chunks = None

    def datagram(self, data):
        self.chunks = self.chunks if self.chunks is not None else {}
        if data[:2] == b"\x1e\x0f":
            name, number, count = data[2:10], data[10], data[11]
            parts = self.chunks.setdefault(name, {})
            parts[number] = data[12:]
            if len(parts) < count:
                return
            data = b"".join(parts[number] for number in range(count))
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:1] == b"\x78":
            data = zlib.decompress(data)
        self.take(json.loads(data))


class GelfStreams(Gelf, Streams):
    async def serve(self, reader, _):
        while True:
            self.take(json.loads((await reader.readuntil(b"\0"))[:-1]))


class Fluentd(Streams):
    """Forward mode; parts of long lines are put together."""

    async def serve(self, reader, writer):
        unpacker = msgpack.Unpacker(timestamp=0)
        while piece := await reader.read(1 << 16):
            unpacker.feed(piece)
            for message in unpacker:
                self.take_batch(writer, *message)

    def take_batch(self, writer, tag, entries, option):
        for when, record in entries:
            self.take({"tag": tag, "time": when, **record})
        assert option["size"] == len(entries)
        if "chunk" in option:
            writer.write(msgpack.packb({"ack": option["chunk"]}))

    def text(self, message):
        return message["log"].encode()

    def stream(self, message):
        return message["source"]


class Journal(Datagrams):
    """systemd's native protocol."""

    def datagram(self, data):
        fields = {}
        while data:
            name, _, data = data.partition(b"\n")
            if b"=" in name:
                name, _, value = name.partition(b"=")
            else:
                (length,) = struct.unpack_from("<Q", data)
                value, data = data[8 : 8 + length], data[9 + length :]
            fields[name.decode()] = value
        self.take(fields)

    def text(self, message):
        return message["MESSAGE"]

    def stream(self, message):
        return {b"3": "stderr", b"6": "stdout"}[message["PRIORITY"]]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 and its key."""
    root = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-subj", "/CN=logs", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", root / "key.pem", "-out",
            root / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return root / "cert.pem", root / "key.pem"


@pytest.fixture
def receiver(tmp_path, certificate):
    """Makes a server by its name, with the options that lead to it."""

    def tls():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        return context

    def syslog_udp():
        made = SyslogDatagrams(tmp_path, {})
        made.options = {"syslog-address": f"udp://127.0.0.1:{made.address[1]}"}
        return made

    def gelf_udp(**options):
        made = GelfDatagrams(tmp_path, {})
        made.options = {"gelf-address": f"udp://127.0.0.1:{made.address[1]}", **options}
        return made

    def by_port(made, name, scheme, **options):
        """The port is known when it is started."""
        start = made.start

        async def started():
            await start()
            made.options = {name: f"{scheme}://127.0.0.1:{made.port}", **options}

        made.start = started
        return made

    made = {
        "syslog-udp": syslog_udp,
        "syslog-unixgram": lambda: SyslogDatagrams(
            tmp_path, {"syslog-address": f"unixgram://{tmp_path}/s", "syslog-format": "rfc5424micro"}, tmp_path / "s"
        ),
        "syslog-tcp": lambda: by_port(
            SyslogStreams(tmp_path, {}), "syslog-address", "tcp", **{"syslog-format": "rfc3164"}
        ),
        "syslog-tls": lambda: by_port(
            SyslogCounted(tmp_path, {}, tls=tls()), "syslog-address", "tcp+tls",
            **{"syslog-tls-ca-cert": str(certificate[0]), "syslog-format": "rfc5424"},
        ),
        "syslog-unix": lambda: SyslogStreams(tmp_path, {"syslog-address": f"unix://{tmp_path}/s"}, tmp_path / "s"),
        "gelf-udp": gelf_udp,
        "gelf-udp-zlib": lambda: gelf_udp(**{"gelf-compression-type": "zlib", "gelf-compression-level": "9"}),
        "gelf-udp-plain": lambda: gelf_udp(**{"gelf-compression-type": "none"}),
        "gelf-tcp": lambda: by_port(GelfStreams(tmp_path, {}), "gelf-address", "tcp"),
        "fluentd-tcp": lambda: by_port(
            Fluentd(tmp_path, {}), "fluentd-address", "tcp", **{"fluentd-retry-wait": "20ms"}
        ),
        "fluentd-ack": lambda: by_port(
            Fluentd(tmp_path, {}), "fluentd-address", "tcp",
            **{"fluentd-request-ack": "true", "fluentd-sub-second-precision": "true"},
        ),
        "fluentd-unix": lambda: Fluentd(tmp_path, {"fluentd-address": f"unix://{tmp_path}/s"}, tmp_path / "s"),
        "journald": lambda: Journal(tmp_path, {}, tmp_path / "s"),
    }  # fmt: skip
    return lambda name: made[name]()
