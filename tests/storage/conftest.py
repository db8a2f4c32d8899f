"""Layers made byte by byte, trees described as values, and a look at what a test left behind."""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from wherry.linux.mount import MNT_DETACH, mount, umount2
from wherry.storage.overlay import Overlay
from wherry.storage.vfs import Vfs


class Layer:
    """A tar in the making; every method returns the layer, so that a test reads as a list of members."""

    def __init__(self):
        self._out = io.BytesIO()

    def add(self, name, kind=tarfile.REGTYPE, data=b"", *, pax=None, form=tarfile.PAX_FORMAT, **fields):
        member = tarfile.TarInfo()
        member.name = name if isinstance(name, str) else os.fsdecode(name)
        member.type = kind
        member.size = len(data)
        member.pax_headers = pax or {}
        for key, value in fields.items():
            setattr(member, key, value)
        self._out.write(member.tobuf(form, "utf-8", "surrogateescape"))
        return self.raw(data + bytes(-len(data) % 512))

    def file(self, name, data=b"", **fields):
        return self.add(name, data=data, **{"mode": 0o644, **fields})

    def directory(self, name, **fields):
        return self.add(name, tarfile.DIRTYPE, **{"mode": 0o755, **fields})

    def symlink(self, name, target, **fields):
        return self.add(name, tarfile.SYMTYPE, linkname=target, **{"mode": 0o777, **fields})

    def link(self, name, target, **fields):
        return self.add(name, tarfile.LNKTYPE, linkname=target, **{"mode": 0o644, **fields})

    def node(self, name, kind, major=0, minor=0, **fields):
        return self.add(name, kind, devmajor=major, devminor=minor, **{"mode": 0o644, **fields})

    def pax(self, records):
        """A PAX header of raw records, right lengths or not, before the next member."""
        body = records if isinstance(records, bytes) else b"".join(pax_record(*item) for item in records.items())
        return self.raw(block(b"pax", kind=b"x", size=len(body)) + body + bytes(-len(body) % 512))

    def raw(self, data):
        self._out.write(data)
        return self

    def bytes(self):
        return self._out.getvalue() + bytes(1024)

    def stream(self):
        return io.BytesIO(self.bytes())


def pax_record(key, value):
    size = len(key) + len(value) + 3
    length = size + len(str(size))
    length = size + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def block(
    name, *, kind=b"0", size=0, link=b"", mode=b"0000644\0", uid=b"0000000\0", mtime=b"00000000000\0", size_field=None
):
    """One header record with every field as given."""
    fields = [
        name.ljust(100, b"\0"), mode, uid, b"0000000\0", size_field or b"%011o\0" % size, mtime, b" " * 8, kind,
        link.ljust(100, b"\0"), b"ustar\x0000", bytes(64), b"0000000\0" * 2, bytes(155), bytes(12),
    ]  # fmt: skip
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def describe_tree(root):
    """Every path below a root, with all that a layer can say about it."""
    found = {}
    names = {}
    for directory, subdirectories, files in os.walk(os.fsencode(root)):
        for name in sorted(subdirectories + files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(root))
            found[relative] = {
                "mode": oct(status.st_mode),
                "owner": (status.st_uid, status.st_gid),
                "mtime": status.st_mtime_ns,
                "device": status.st_rdev,
                "link": os.readlink(path) if stat.S_ISLNK(status.st_mode) else None,
                "data": _digest(path) if stat.S_ISREG(status.st_mode) else None,
                "same as": names.setdefault(status.st_ino, relative),
                "xattrs": {name: os.getxattr(path, name, follow_symlinks=False) for name in _xattrs(path)},
            }
    return found


def _xattrs(path):
    names = os.listxattr(path, follow_symlinks=False)
    return sorted(name for name in names if not name.startswith("trusted.overlay."))


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def chain(letter):
    return "sha256:" + letter * 64


@pytest.fixture
def layer():
    return Layer


@pytest.fixture
def header_block():
    return block


@pytest.fixture
def tree_of():
    return describe_tree


@pytest.fixture
def chain_id():
    return chain


@pytest.fixture
def fill():
    """Apply and commit a layer under a letter, on that of another."""

    def fill(driver, tar, letter, parent=None):
        with driver.extract(chain(parent) if parent else None) as extraction:
            extraction.apply(tar.stream() if isinstance(tar, Layer) else tar)
            return extraction.commit(chain(letter))

    return fill


@pytest.fixture
def seen():
    """What a snapshot shows, as describe_tree has it."""

    def seen(driver, key):
        with driver.open(key) as rootfs:
            return describe_tree(f"/proc/self/fd/{rootfs.fd}/.")

    return seen


@pytest.fixture
def root():
    """A directory for a driver, on a real file system and with a mode that lets others through."""
    path = Path(tempfile.mkdtemp(prefix="wherry-storage-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=[Overlay, Vfs], ids=["overlay", "vfs"])
def driver(request, root):
    return request.param(root / "snapshots")


@pytest.fixture
def overlay(root):
    return Overlay(root / "snapshots")


@pytest.fixture
def small_disk(root):
    """A file system of 2 MiB."""
    path = root / "small"
    path.mkdir()
    mount("tmpfs", str(path), "tmpfs", 0, "size=2m")
    yield path
    umount2(str(path), MNT_DETACH)


@pytest.fixture(autouse=True)
def leaves_nothing():
    """No mount, descriptor or child process stays behind."""
    before = _holdings()
    yield
    assert _holdings() == before


def _holdings():
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "wherry-storage-" in line]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return mounts, children, len(os.listdir("/proc/self/fd"))


@pytest.fixture(scope="session")
def debian_tar():
    """A whole distribution's tree as a tar, or a good part of this machine's own."""
    given = os.environ.get("WHERRY_TEST_ROOTFS")
    if given:
        yield Path(given)
        return
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        subprocess.run(["tar", "-c", "-f", file.name, "-C", "/", "etc", "-C", "/usr/lib", "terminfo"], check=True)
        yield Path(file.name)
