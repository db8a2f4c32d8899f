"""A daemon to be asked wrongly: its containers in every state, and HTTP written by hand."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wherry.api.answers import INTERNAL_ERROR

SECONDS = 30.0
STREAM_SECONDS = 0.05
SETTLING_SECONDS = 20.0
STREAM_BYTES_MAX = 1 << 20
CONTINUE = b"HTTP/1.1 100 Continue"

# What Python says when nobody caught it; none of it is ever a client's to read.
PYTHON_WORDS = re.compile(
    r"Traceback|NoneType|<class |object at 0x|\bmsgspec\b|asyncio|\.py\b|\[Errno |\w+Error\(|codec can't|"
    + re.escape(INTERNAL_ERROR)
)

HOUSE = {
    "running": {"Cmd": ["sleep", "100000"], "StopSignal": "KILL", "StopTimeout": 0},
    "terminal": {"Cmd": ["sleep", "100000"], "StopSignal": "KILL", "StopTimeout": 0, "Tty": True, "OpenStdin": True},
    "exited": {"Cmd": ["true"]},
    "created": {"Cmd": ["true"]},
}
STARTED = ("running", "terminal", "exited")


@dataclass
class Answer:
    """What came back; `body` is what came of it in time when it is a stream."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def message(self):
        return json.loads(self.body)["message"]


class NoAnswer(Exception):
    """The connection ended, or time did, before a head was complete."""


class Fuzzed:
    """A daemon in a network namespace of its own, with nothing behind its loopback."""

    no_answer = NoAnswer

    def __init__(self, root):
        self.root = root
        self.socket = str(root / "s")
        self.log = root / "log"
        reading, writing = os.pipe()
        command = [
            "unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
            sys.executable, "-m", "wherry.bootstrap", "--data-root", root / "data",
            "--exec-root", root / "exec", "--pidfile", root / "pid", "-H", f"unix://{self.socket}",
            "--config-file", root / "daemon.json", "--ready-fd", str(writing),
        ]  # fmt: skip
        (root / "daemon.json").write_text("{}")
        with self.log.open("wb") as log, os.fdopen(reading, "rb") as ready:
            self.process = subprocess.Popen(command, pass_fds=[writing], stderr=log)
            os.close(writing)
            assert ready.readline(), self.log.read_text()

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(SECONDS)
        client.connect(self.socket)
        return client

    def ask(self, method, target, body=None, *, stream=False, head=b"", seconds=SECONDS):
        """One request on a connection of its own. `head` is more lines of the head."""
        lines = (
            f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode("utf-8", "surrogatepass") + head
        )
        if body is not None:
            lines += b"Content-Length: %d\r\n" % len(body)
            if b"content-type" not in head.lower():
                lines += b"Content-Type: application/json\r\n"
        with self.connect() as client:
            client.settimeout(seconds)
            with suppress(BrokenPipeError, ConnectionResetError):  # refused early; the answer is there all the same
                client.sendall(lines + b"\r\n" + (body or b""))
            return read_answer(client, stream=stream, no_body=method == "HEAD")

    def make(self, name, **body):
        said = {"Image": "busybox", "HostConfig": {"NetworkMode": "none"}, **body}
        answer = self.ask("POST", f"/containers/create?name={name}", json.dumps(said).encode())
        assert answer.status in {201, 409}, answer
        return answer.status == 201

    def furnish(self):
        """The image and the containers, where they are not there (any more)."""
        if self.ask("GET", "/images/busybox/json").status == 404:
            archive = (self.root / "rootfs.tar").read_bytes()
            assert self.ask("POST", "/images/create?fromSrc=-&repo=busybox", archive).status == 200
        for name, body in HOUSE.items():
            self.make(name, **body)
            if name in STARTED:
                assert self.ask("POST", f"/containers/{name}/start").status in {204, 304, 409}

    def remove_everything(self):
        deadline = time.monotonic() + SETTLING_SECONDS
        while found := json.loads(self.ask("GET", "/containers/json?all=1").body):
            assert time.monotonic() < deadline, found
            for one in found:
                self.ask("DELETE", f"/containers/{one['Id']}?force=1&v=1")
        for one in json.loads(self.ask("GET", "/volumes").body)["Volumes"]:
            self.ask("DELETE", f"/volumes/{one['Name']}?force=1")

    def says_nothing_of_python(self):
        """The log too: every error of ours that nobody foresaw would be there with its stack."""
        unforeseen = [line for line in self.log.read_text(errors="replace").splitlines() if ' stack="' in line]
        assert not unforeseen, "\n".join(unforeseen)[:5000]

    def size(self):
        """What would grow if something stayed behind: descriptors, threads, children."""
        process = Path("/proc") / str(self.process.pid)
        children = (process / "task" / str(self.process.pid) / "children").read_text().split()
        return {"descriptors": len(os.listdir(process / "fd")), "children": len(children)}

    def settled_size(self, wanted):
        """The size when it is no more than the wanted one, or when time is up."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while any((size := self.size())[key] > wanted[key] for key in wanted) and time.monotonic() < deadline:
            time.sleep(0.02)
        return {key: max(size[key], wanted[key]) for key in wanted}

    def memory_kb(self):
        text = (Path("/proc") / str(self.process.pid) / "smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE).group(1))

    def end(self):
        self.process.terminate()
        assert self.process.wait(60) == 0


def read_answer(client, *, stream=False, no_body=False, data=b""):
    """A whole answer, or the head of a stream and what follows it at once. Raises NoAnswer."""
    while b"\r\n\r\n" not in data:
        piece = _receive(client)
        if not piece:
            raise NoAnswer(data)
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    if head == CONTINUE:
        return read_answer(client, stream=stream, no_body=no_body, data=body)
    status, *lines = head.decode("latin1").split("\r\n")
    answer = Answer(
        int(status.split()[1]), {key.lower(): value for key, value in (line.split(": ", 1) for line in lines)}
    )
    if no_body or answer.status in {204, 304}:
        return answer
    if stream or answer.status == 101:
        client.settimeout(STREAM_SECONDS)
    length = answer.headers.get("content-length")
    while length is None or len(body) < int(length):
        piece = _receive(client)
        if not piece or len(body) > STREAM_BYTES_MAX:
            break
        body += piece
    answer.body = _without_chunks(body) if answer.headers.get("transfer-encoding") == "chunked" else body
    return answer


def _receive(client):
    try:
        return client.recv(65536)
    except (TimeoutError, ConnectionResetError):
        return b""


def _without_chunks(data):
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + rest[:length], rest[length + 2 :]
    return body


def make_rootfs(path):
    """A busybox image as small as it can be."""
    program = Path(shutil.which("busybox"))
    with tarfile.open(path, "w") as tar:
        tar.add(program, "bin/busybox")
        for applet in ("sh", "sleep", "true", "cat", "echo", "ps"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """The daemon, furnished; in the end nothing of it is left and its log holds no traceback."""
    root = tmp_path_factory.mktemp("fuzzed")
    make_rootfs(root / "rootfs.tar")
    fuzzed = Fuzzed(root)
    try:
        fuzzed.furnish()
        yield fuzzed
        fuzzed.remove_everything()
    finally:
        fuzzed.end()
    fuzzed.says_nothing_of_python()


@pytest.fixture(scope="session")
def operations():
    """Docker's Engine API as a table: method, path, query, body, statuses."""
    return json.loads((Path(__file__).with_name("operations.json")).read_text())


@pytest.fixture(scope="session")
def python_words():
    return PYTHON_WORDS
