"""Programs that attack, images that are traps, and a tree of the host's that none of them may touch or read."""

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LOADED_AT = 0x400000
HEADERS_BYTES = 64 + 56
SECRET = "the host's own secret"
PEER_READY_SECONDS = 60


def static_program(name: str) -> bytes:
    """An ELF file of one segment around the machine code of NAME.s, assembled beside it as NAME.hex."""
    code = bytes.fromhex((HERE / f"{name}.hex").read_text())
    size = HEADERS_BYTES + len(code)
    start = LOADED_AT + HEADERS_BYTES
    header = b"\x7fELF\2\1\1".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, LOADED_AT, LOADED_AT, size, size, 4096) + code


def look(root: Path) -> dict[str, tuple]:
    """Every inode below a directory with what can be said about it; access times may move."""
    found = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        data = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path)}
        found[str(path)] = (
            *(status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink),
            *(status.st_size, status.st_mtime_ns, status.st_ctime_ns, data, xattrs),
        )
    return found


@pytest.fixture
def canary():
    """A tree of the host's that is the same, inode by inode, after everything that was tried."""
    with tempfile.TemporaryDirectory(prefix="canary-", dir="/var/tmp") as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "directory").mkdir()
        (root / "secret").write_text(SECRET)
        (root / "directory/secret").write_text(SECRET)
        (root / "null").write_text(SECRET)
        os.mkfifo(root / "fifo")
        (root / "link").symlink_to("secret")
        before = look(root)
        yield root
        assert look(root) == before


@pytest.fixture(scope="session")
def program():
    """Machine code by name, as an executable file's content."""
    return static_program


@pytest.fixture
def image(daemon, busybox_tar, layer):
    """Makes images: the busybox root with further members, removed with the test's containers."""
    made = []

    def make(members=None, *changes, base=True) -> str:
        name = f"hostile-{uuid.uuid4().hex[:12]}"
        text = busybox_tar.read_bytes().rstrip(b"\0") if base else b""
        text += bytes(-len(text) % 512)
        text += (members or layer()).bytes()
        options = [word for change in changes for word in ("--change", change)]
        daemon.docker("import", *options, "-", name, input=text, text=False)
        made.append(name)
        return name

    yield make
    if made:
        remove_containers(daemon)
        daemon.docker("rmi", "-f", *made)


def remove_containers(daemon):
    if ids := daemon.out("ps", "-aq", "--no-trunc").split():
        daemon.docker("rm", "-f", "-v", *ids)


@pytest.fixture
def sh(daemon):
    """Runs a script in a container that goes with it; what it printed."""

    def run(script, *options, image="busybox", check=True):
        done = daemon.docker("run", "--rm", "--network=none", *options, image, "sh", "-c", script, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def exchanging():
    """Keeps two names on the host changing places, as a neighbour that shares a volume would, until the test ends."""
    children = []
    with tempfile.TemporaryDirectory(prefix="exchanger-") as directory:
        path = Path(directory) / "exchanger"
        path.write_bytes(static_program("exchanger"))
        path.chmod(0o755)

        def start(one: Path, other: Path) -> None:
            children.append(subprocess.Popen([path, one, other]))

        yield start
        for child in children:
            child.kill()
            child.wait()


class Peer:
    """A real dockerd, driven by its command line."""

    def __init__(self, address: str) -> None:
        self.address = address

    def docker(self, *words, **options):
        command = ["docker", "-H", self.address, *words]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def version(self) -> tuple[int, ...]:
        text = self.docker("version", "-f", "{{.Server.Version}}").decode()
        return tuple(int(part) for part in text.partition("+")[0].split(".")[:2])


@pytest.fixture(scope="module")
def peer():
    """The dockerd at $WHERRY_PEER_SOCKET, or one of the distribution's own that touches no network."""
    if given := os.environ.get("WHERRY_PEER_SOCKET"):
        yield Peer(f"unix://{given}")
        return
    if not shutil.which("dockerd"):
        pytest.skip("dockerd is not installed")
    with tempfile.TemporaryDirectory(prefix="wherry-peer-", ignore_cleanup_errors=True) as directory:
        yield from started_peer(Path(directory))


def started_peer(place: Path):
    command = ["dockerd", "--data-root", place / "data", "--exec-root", place / "exec", "--pidfile", place / "pid"]
    command += ["-H", f"unix://{place}/docker.sock", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    drain = None
    try:
        assert any("API listen on" in line for line in daemon.stderr), "dockerd ended without serving"
        drain = subprocess.Popen(["cat"], stdin=daemon.stderr, stdout=subprocess.DEVNULL)
        yield Peer(f"unix://{place}/docker.sock")
    finally:
        daemon.terminate()
        daemon.wait(PEER_READY_SECONDS)
        daemon.stderr.close()
        if drain:
            drain.wait(PEER_READY_SECONDS)


@pytest.fixture(scope="session")
def secret():
    """What stands in the canary's files."""
    return SECRET
