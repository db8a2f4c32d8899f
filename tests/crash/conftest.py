"""A daemon that can be told where to crash, spoken to by bare HTTP, and what it may leave behind: nothing."""

import contextlib
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from wherry.images.seed import busybox_tar
from wherry.monitor import midwife, spare

BIN = Path(sys.executable).parent
BRIDGE = "wherrycrash0"
# Few addresses, so that one which is not given back is missed soon.
BRIDGE_ADDRESS = "10.213.9.1/27"
SPARES = 3
SECONDS = 30
# Words in the command lines of machines that other tests run in, and of what boots them.
MACHINES = ("wherry-lab", "tests/guest/")
IMAGE = "busybox:latest"


class Gone(Exception):
    """The daemon died before it answered."""


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self.path))


class Daemon:
    """A `wherryd` whose crash points are read from a file."""

    def __init__(self, root, bridge=BRIDGE):
        self.root = root
        self.data, self.exec_root = root / "data", root / "exec"
        self.socket = root / "wherry.sock"
        self.wish = root / "wish"
        self.log = root / "daemon.log"
        self.bridge = bridge
        self.process = None
        (root / "daemon.json").write_text("{}")

    def start(self):
        """Serve, or die on the way: then False."""
        reader, writer = os.pipe()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    BIN / "wherryd", "--host", f"unix://{self.socket}", "--data-root", self.data,
                    "--exec-root", self.exec_root, "--pidfile", self.root / "pid",
                    "--config-file", self.root / "daemon.json", "--bridge", self.bridge, "--ready-fd", str(writer),
                    "--cdi-spec-dir", self.root / "cdi",
                ],
                env={**os.environ, "WHERRY_CRASH_AT": f"@{self.wish}"},
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=(writer,),
            )  # fmt: skip
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            return ready.readline() == b"ready\n" or not self.died()

    def died(self):
        """Wait for its end, which must have been by its own SIGKILL."""
        try:
            code = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            code = "nothing"
        assert code == -signal.SIGKILL, f"it ended with {code}:\n{self.log.read_text()[-3000:]}"
        return True

    def kill(self):
        self.process.kill()
        self.process.wait(SECONDS)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(SECONDS) == 0

    def settle(self):
        """Have all done that was begun: what ends is taken down after the answer, at any moment."""
        self.stop()
        assert self.start()

    @contextlib.contextmanager
    def wishing(self, wish):
        self.wish.write_text(wish)
        try:
            yield
        finally:
            self.wish.unlink()

    def ask(self, method, path, body=None, *, headers=None):
        """Status and decoded answer; Gone when the daemon dies over it."""
        connection = Connection(self.socket)
        try:
            if body is not None and not isinstance(body, bytes):
                body, headers = json.dumps(body), {"Content-Type": "application/json"}
            connection.request(method, f"/v1.51{path}", body, headers or {})
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        try:
            return answer.status, json.loads(data) if data else None
        except ValueError:
            return answer.status, data.decode(errors="replace")

    def do(self, method, path, body=None, *, headers=None):
        """The answer of what must succeed."""
        status, answer = self.ask(method, path, body, headers=headers)
        assert status < 400, f"{method} {path}: {status} {answer}"
        assert "errorDetail" not in str(answer), f"{method} {path}: {answer}"
        return answer

    def create(self, *command, name="cc", image=IMAGE, volumes=(), **host):
        body = {"Image": image, "Cmd": list(command) or ["sleep", "1000"], "HostConfig": host}
        body["Volumes"] = {path: {} for path in volumes}
        return self.do("POST", f"/containers/create?name={name}", body)["Id"]

    def run(self, *command, name="cc", **how):
        container = self.create(*command, name=name, **how)
        self.do("POST", f"/containers/{container}/start")
        return container

    def inspect(self, name):
        status, answer = self.ask("GET", f"/containers/{name}/json")
        return None if status == 404 else answer

    def pid(self, name):
        return self.inspect(name)["State"]["Pid"]

    def names(self):
        return sorted(one["Names"][0][1:] for one in self.do("GET", "/containers/json?all=1"))

    def images(self):
        return sorted(name for one in self.do("GET", "/images/json?all=1") for name in one["RepoTags"] or [one["Id"]])

    def volumes(self):
        return sorted(one["Name"] for one in self.do("GET", "/volumes")["Volumes"] or ())

    def clear(self, *, images=True):
        """Remove everything that can be removed but the first image; all of it must be willing."""
        for one in self.do("GET", "/containers/json?all=1"):
            status, answer = self.ask("DELETE", f"/containers/{one['Id']}?force=1&v=1")
            # One of `--rm` may be going by itself.
            assert status in (204, 404, 409), answer
        eventually(lambda: not self.do("GET", "/containers/json?all=1"), "containers that do not go")
        for name in self.volumes():
            self.do("DELETE", f"/volumes/{name}")
        for name in self.images() if images else ():
            if name != IMAGE:
                self.do("DELETE", f"/images/{name}")

    def traces(self):
        """What lies in its directories, its ledger and the kernel on its behalf."""
        return {
            "files": sorted(self._files()),
            "records": self._records(),
            "mounts": sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
            "links": self._links(),
            "rules": self._rules(),
            "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("**/docker/*/")),
            "processes": self._processes(),
            "descriptors": self._descriptors(),
        }

    def _files(self):
        for root in (self.data, self.exec_root):
            for path in root.glob("*"):
                if not path.name.startswith("wherry.db"):
                    yield from (str(each.relative_to(self.root)) for each in _below(path))

    def _records(self):
        with contextlib.closing(sqlite3.connect(self.data / "wherry.db")) as ledger:
            tables = [row[0] for row in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {table: sorted(ledger.execute(f'SELECT key FROM "{table}"')) for table in sorted(tables)}

    def _descriptors(self):
        """How many of each kind; connections to registries are kept for the next pull."""
        tcp = {f"socket:[{line.split()[9]}]" for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
        found = Counter()
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                link = os.readlink(path)
                found[link.partition(":")[0]] += link not in tcp
        # Two lead to each monitor that waits for a container, for a moment after a start.
        found["socket"] -= 2 * sum(text.startswith(spare.NAME) for text in _command_lines())
        return sorted(found.items())

    def _links(self):
        names = os.listdir("/sys/class/net")
        veths = [name for name in names if name.startswith("veth")]
        ports = len(os.listdir(f"/sys/class/net/{self.bridge}/brif"))
        return [*sorted(set(names) - set(veths)), len(veths), ports]

    def _rules(self):
        done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True)
        return [line for line in done.stdout.splitlines() if "counter packets" not in line]

    def _processes(self):
        """Everything that is neither the tests' own nor of the kernel, nor waits for a container for a moment."""
        return sorted(text for text in _command_lines() if not text.startswith((spare.NAME, midwife.NAME)))


_START = set()


def _command_lines():
    """Of those that are ours by their name, their parent's or their cgroup; others come and go as they like."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            text = _command_line(path)
            if text and int(path.name) > 1 and _is_ours(path, text):
                yield text[:60]


def _command_line(path):
    return (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def _is_ours(path, text):
    if "wherry" in text or path.name in _START:
        return _names_us(text)
    parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
    return "/docker/" in (path / "cgroup").read_text() or _names_us(_command_line(path.parent / parent))


def _names_us(text):
    return "wherry" in text and not any(word in text for word in MACHINES)


def _below(path):
    """The entries of directories down to where images' and containers' own files begin."""
    yield path
    if path.is_dir() and not path.is_symlink() and path.name not in ("fs", "work", "_data"):
        try:
            entries = list(path.iterdir())
        except FileNotFoundError:  # it is just being deleted, and the next look will not find it
            return
        for each in entries:
            yield from _below(each)


def eventually(true, what):
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture(scope="session")
def rootfs():
    """A small root file system as a tar."""
    program = next(Path(where) / "busybox" for where in ("/usr/bin", "/bin") if (Path(where) / "busybox").exists())
    return busybox_tar(program)


@pytest.fixture(scope="session")
def bridge():
    """As dockerd, a bridge of another name is the administrator's to make."""
    run = subprocess.run
    run(["ip", "link", "delete", BRIDGE], capture_output=True)
    run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    run(["ip", "address", "add", BRIDGE_ADDRESS, "dev", BRIDGE], check=True)
    run(["ip", "link", "set", BRIDGE, "up"], check=True)
    yield BRIDGE
    run(["ip", "link", "delete", BRIDGE], capture_output=True)
    run(["nft", "delete", "table", "inet", f"wherry-{BRIDGE}"], capture_output=True)


@pytest.fixture
def make_daemon(bridge):
    """A daemon of one's own in a directory, not started; it is killed with what runs under it when the test ends."""
    made = []

    def make(root):
        made.append(Daemon(root, bridge))
        return made[-1]

    yield make
    for daemon in made:
        if daemon.process and daemon.process.poll() is None:
            daemon.kill()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, rootfs, bridge):
    """A running daemon with one image, busybox, which a test leaves running and empty."""
    _START.update(path.name for path in Path("/proc").glob("[0-9]*"))
    daemon = Daemon(tmp_path_factory.mktemp("crash"), bridge)
    assert daemon.start()
    daemon.do("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs)
    # The first container leaves the image's init layer behind, and the directory of cgroups.
    daemon.run()
    daemon.clear()
    daemon.kill()
    assert daemon.start()
    yield daemon
    if daemon.process.poll() is None:
        daemon.clear()
        daemon.stop()


@pytest.fixture(scope="module")
def at_rest(daemon):
    """Its traces when it has nothing to do: its spare namespaces are made, nothing is on its way out."""
    eventually(lambda: daemon.traces()["links"][-2:] == [SPARES, SPARES], "spare namespaces")
    eventually(lambda: any(name.startswith("wherry-nursery") for name in daemon.traces()["processes"]), "a nursery")
    return settled(daemon)


def settled(daemon, wanted=None):
    """The traces once they stay the same, or are the wanted ones."""
    deadline = time.monotonic() + SECONDS
    before, since = None, time.monotonic()
    while time.monotonic() < deadline:
        now = daemon.traces()
        if now == wanted:
            return now
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > (1 if wanted is None else 5):
            return now
        time.sleep(0.02)
    return before


@pytest.fixture
def leaves_nothing(daemon, at_rest):
    """A check to be called when all was removed."""

    def check(why=""):
        now = settled(daemon, at_rest)
        different = {key: (_less(at_rest[key], now[key]), _less(now[key], at_rest[key]))
                     for key in at_rest if at_rest[key] != now[key]}  # fmt: skip
        assert not different, f"{why}: gone and new: {different}".lstrip(": ")

    return check


def _less(one, other):
    return [each for each in one if each not in other] if isinstance(one, list) else one


def layered_image(rootfs):
    """Blobs by digest and the manifest of an image of two layers, as a registry has them."""
    second = io.BytesIO()
    with tarfile.open(fileobj=second, mode="w") as tar:
        member = tarfile.TarInfo("second")
        member.size = 300_000
        tar.addfile(member, io.BytesIO(os.urandom(member.size)))
    layers = [rootfs, second.getvalue()]
    packed = [gzip.compress(layer, 1) for layer in layers]
    config = json.dumps(
        {
            "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
            "config": {"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        }
    ).encode()  # fmt: skip
    kind = "application/vnd.oci.image"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": {"mediaType": f"{kind}.config.v1+json", "digest": digest_of(config), "size": len(config)},
            "layers": [
                {"mediaType": f"{kind}.layer.v1.tar+gzip", "digest": digest_of(layer), "size": len(layer)}
                for layer in packed
            ],
        }
    ).encode()
    return {digest_of(blob): blob for blob in (*packed, config)}, manifest, config, layers


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture(scope="session")
def registry(rootfs):
    """A registry of one image; its address. Serves whoever asks, in pieces of any range."""
    blobs, manifest, _, _ = layered_image(rootfs)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/v2/":
                self.answer(b"{}", "application/json")
            elif "/manifests/" in self.path:
                self.answer(manifest, "application/vnd.oci.image.manifest.v1+json")
            else:
                self.answer(blobs[self.path.rpartition("/")[2]], "application/octet-stream")

        do_HEAD = do_GET

        def answer(self, body, kind):
            digest = digest_of(body)
            start = int(self.headers.get("Range", "bytes=0-").partition("=")[2].partition("-")[0])
            self.send_response(206 if "Range" in self.headers else 200)
            if "Range" in self.headers:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Type", kind)
            self.send_header("Docker-Content-Digest", digest)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            if self.command == "GET":
                with contextlib.suppress(OSError):
                    self.wfile.write(body[start:])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def archive(rootfs):
    """An image of two layers as `docker save` writes it."""
    _, _, config, layers = layered_image(rootfs)
    packed = io.BytesIO()
    name = f"{digest_of(config).partition(':')[2]}.json"
    members = {name: config} | {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = [{"Config": name, "RepoTags": ["loaded:1", "loaded:2"], "Layers": [*members][1:]}]
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in {**members, "manifest.json": json.dumps(manifest).encode()}.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()
