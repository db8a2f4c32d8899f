"""Users and groups as an image may state them: a number is a number, and no file is read without bounds."""

import re
import tarfile
import time
from pathlib import Path

import pytest

SECONDS_MAX = 20
MEMORY_KB_MAX = 64 << 10
TRAP = "root:x:0:0:root:/root:/bin/sh\n1000:x:0:0:a trap:/trap:/bin/sh\nname:x:1001:1002::/home/n:/bin/sh\n"
GROUPS = "root:x:0:\nown:x:1002:\nextra:x:50:name\n1000:x:0:\n"
USERS = {
    "1": "1 0 0", "1:1": "1 1 1", "1000": "1000 0 0", "1000:": "1000 0 0", "1000:1000": "1000 1000 1000", ":5": "0 5 5",
    "name": "1001 1002 1002 50", "name:50": "1001 50 50", "name:own": "1001 1002 1002", "1001": "1001 1002 1002 50",
    "0042": "42 0 0", "2147483647": "2147483647 0 0",
}  # fmt: skip
REFUSED = (
    "-1",
    "0x0",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "nobody",
    "name:nogroup",
    " 1",
)


@pytest.fixture
def trap(image, layer):
    return image(layer().file("etc/passwd", TRAP.encode()).file("etc/group", GROUPS.encode()))


def test_a_number_is_a_number(daemon, trap):
    """CVE-2026-30892, CVE-2026-46680, CVE-2022-36109."""
    daemon.docker("run", "-d", "--name", "there", trap, "sleep", "1000")
    for user, wanted in USERS.items():
        script = "echo $(id -u) $(id -g) $(id -G)"
        assert (user, daemon.out("run", "--rm", "--user", user, trap, "sh", "-c", script)) == (user, wanted)
        assert (user, daemon.out("exec", "--user", user, "there", "sh", "-c", script)) == (user, wanted)


def test_what_is_no_user_is_refused(daemon, trap):
    daemon.docker("run", "-d", "--name", "there", trap, "sleep", "1000")
    for user in REFUSED:
        assert daemon.docker("run", "--rm", "--user", user, trap, "id", check=False).returncode == 125, user
        assert daemon.docker("exec", "--user", user, "there", "id", check=False).returncode != 0, user


def sparse(size):
    return {b"GNU.sparse.size": b"%d" % size, b"GNU.sparse.numblocks": b"1", b"GNU.sparse.map": b"0,1"}


FILES = {
    "two sparse gigabytes": lambda L, name: L().pax(sparse(2 << 30)).file(name, b"\n"),
    "a fifo": lambda L, name: L().node(name, tarfile.FIFOTYPE),
    "a link to endless zeros": lambda L, name: L().symlink(name, "/dev/zero"),
    "endless zeros": lambda L, name: L().node(name, tarfile.CHRTYPE, 1, 5),
    "a link to itself": lambda L, name: L().symlink(name, name.rpartition("/")[2]),
    "a link to the kernel's messages": lambda L, name: L().symlink(name, "/proc/kmsg"),
    "one endless line": lambda L, name: L().file(name, b"x" * (3 << 20)),
    "many members": lambda L, name: L().file(name, b"g:x:7:" + b"name," * 500_000 + b"\n"),
    "a directory": lambda L, name: L().directory(name),
}


def resident_kb(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


@pytest.mark.parametrize("name", ["etc/passwd", "etc/group"])
@pytest.mark.parametrize("case", FILES)
def test_the_files_of_users_are_read_with_bounds(daemon, image, layer, name, case):
    """CVE-2026-47262, CVE-2024-9676."""
    made = image(FILES[case](layer, name))
    Path(f"/proc/{daemon.process.pid}/clear_refs").write_text("5")  # the peak counts from here
    before, began = resident_kb(daemon.process.pid), time.monotonic()
    for options in ((), ("--user=name:own", "--group-add=extra")):
        daemon.docker("run", "--rm", "--network=none", *options, made, "true", check=False)
    assert time.monotonic() - began < SECONDS_MAX
    assert resident_kb(daemon.process.pid) - before < MEMORY_KB_MAX
    assert daemon.out("info", "-f", "{{.OSType}}") == "linux"
