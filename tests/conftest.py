"""What all tests share: the machine's look before and after, layers made byte by byte, trees as values."""

import hashlib
import io
import os
import stat
import subprocess
import tarfile
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest

from wherry.drivers.spares import SPARES
from wherry.monitor import midwife, spare
from wherry.networks.options import NetworkOptions
from wherry.storage.workforce import WORKFORCE

SETTLING_SECONDS = 10.0


@pytest.fixture(scope="session", autouse=True)
def foreman():
    """He stays as long as the process that gave the first order, so he is there before anybody compares."""
    _bring_foreman()
    yield
    WORKFORCE.close()


@pytest.fixture
def without_foreman():
    """The end of an engine in the test's own process is the foreman's, too; afterwards he is there again."""
    WORKFORCE.close()
    yield
    _bring_foreman()


def _bring_foreman():
    """He is known by his name a moment after his start."""
    WORKFORCE.warm_up()
    deadline = time.monotonic() + SETTLING_SECONDS
    while "wherry-foreman" not in _children(os.getpid()) and time.monotonic() < deadline:
        time.sleep(0.01)


SKIPPED = 75


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test marked `alone` in a fork: another test's thread may hold a lock, or ask for the interpreter's."""
    if pyfuncitem.get_closest_marker("alone") is None:
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    said, saying = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted})
        except pytest.skip.Exception as reason:
            os.write(saying, str(reason).encode())
            os._exit(SKIPPED)
        except BaseException:
            os.write(saying, traceback.format_exc().encode())
        os._exit(0)
    os.close(saying)
    with open(said, errors="replace") as report:
        failure = report.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == SKIPPED:
        pytest.skip(failure)
    assert (code, failure) == (0, ""), f"it ended with {code}:\n{failure}"
    return True


def _mounts():
    return sorted(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())


def _links():
    """Names of links, without those of veths, which are random."""
    return sorted(name for name in os.listdir("/sys/class/net") if not name.startswith("veth"))


def _count_veths():
    """They are deleted after the answer, and the pool is filled again: maybe after the next test has begun."""
    return sum(name.startswith("veth") for name in os.listdir("/sys/class/net"))


def _count_pools():
    """Of spare network namespaces: one in each daemon, and engine in a program, that has a process for them."""
    stats = (fields for path in Path("/proc").glob("[0-9]*/stat") if (fields := _stat(path)))
    return sum(name == "wherry-netns" for _, name, _ in stats)


def _cgroups():
    """Every container's directory in every hierarchy; the parents that an engine makes once may stay."""
    found = []
    for parent in Path("/sys/fs/cgroup").glob("*/docker"):
        found += [str(path) for path in parent.iterdir() if path.is_dir()]
    unified = Path("/sys/fs/cgroup/docker")
    if unified.is_dir():
        found += [str(path) for path in unified.iterdir() if path.is_dir()]
    return sorted(found)


def _children(pid):
    """Children of a process by command name; a daemon that was started again is still one daemon."""
    return sorted(
        fields[1] for path in Path("/proc").glob("[0-9]*/stat") if (fields := _stat(path)) and fields[2] == str(pid)
    )


def _stat(path):
    try:
        text = path.read_text()
    except OSError:
        return None
    before, _, after = text.rpartition(")")
    pid, _, command = before.partition("(")
    return pid.strip(), command, after.split()[1]


def _helpers():
    """Wherry's processes, wherever they hang: monitors one by one, of the others those that are more than they may be.

    A daemon starts each of its helpers when it first needs it and keeps that one; monitors wait for a moment for more.
    """
    stats = (fields for path in Path("/proc").glob("[0-9]*/stat") if (fields := _stat(path)))
    ours = [(pid, name) for pid, name, _ in stats if name.startswith("wherry")]
    monitors = [pid for pid, name in ours if name == "wherry-mon"]
    others = Counter(name for _, name in ours if name != "wherry-mon")
    # There may be a daemon of the whole session's beside that of a module, each with its own.
    each = max(1, others["wherryd"])
    allowed = Counter({name: 1 if name == "wherryd" else each for name in others})
    allowed |= Counter({spare.NAME: SPARES, midwife.NAME: SPARES})
    return Counter([*monitors, *(others - allowed).elements()])


def _rules():
    done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if "counter packets" not in line]


def _loops():
    return sorted(path.name for path in Path("/sys/block").glob("loop*") if (path / "loop/backing_file").exists())


def look_at_machine():
    """Everything that a container engine could leave behind on a host."""
    return {
        "mounts": _mounts(),
        "links": _links(),
        "veths": _count_veths(),
        "cgroups": _cgroups(),
        "processes": _helpers(),
        "children of the tests": _children(os.getpid()),
        "rules": _rules(),
        "loop devices": _loops(),
        "descriptors of the tests": len(os.listdir("/proc/self/fd")),
    }


@pytest.fixture
def leaves_no_trace():
    """Compare the machine before and after a test; what is torn down after the answer gets a moment for it."""
    before = look_at_machine()
    yield
    deadline = time.monotonic() + SETTLING_SECONDS
    while (different := _differences(before, look_at_machine())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not different


def _differences(before, after):
    differing = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    # What ended meanwhile, or was collected as garbage, is an earlier test's.
    if not after["processes"] - before["processes"]:
        differing.pop("processes", None)
    if after["descriptors of the tests"] < before["descriptors of the tests"]:
        differing.pop("descriptors of the tests", None)
    # Each daemon's pool may have been on its way when the test began.
    if after["veths"] <= max(before["veths"], NetworkOptions().spare_namespaces * _count_pools()):
        differing.pop("veths", None)
    return differing


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
            try:
                status = os.lstat(path)
            except FileNotFoundError:  # a whiteout with nothing below it: overlayfs lists it and shows it not
                continue
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


@pytest.fixture(scope="session")
def layer():
    return Layer


@pytest.fixture(scope="session")
def header_block():
    return block


@pytest.fixture(scope="session")
def tree_of():
    return describe_tree


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Two authorities; a server certificate of the first, a client certificate of each."""
    directory = tmp_path_factory.mktemp("certificates")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for authority in ("ca", "other-ca"):
        openssl(
            "req",
            "-x509",
            *key,
            "-keyout",
            f"{authority}-key.pem",
            "-out",
            f"{authority}.pem",
            "-subj",
            f"/CN={authority}",
        )
    for name, authority in (("server", "ca"), ("client", "ca"), ("stranger", "other-ca")):
        openssl(
            "req", "-x509", *key, "-keyout", f"{name}-key.pem", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-CA", f"{authority}.pem", "-CAkey", f"{authority}-key.pem", "-addext", "subjectAltName=IP:127.0.0.1",
        )  # fmt: skip
    return directory
