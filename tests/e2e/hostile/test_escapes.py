"""Containers that try to get out: by who enters them, by descriptors, by mounts that are swapped, by links."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

ROUNDS = 20
LONG = pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])
# The host's interpreter can run in the container: no file that it needs is missing there.
HOST_PYTHON = [
    *("-v", f"{sys.base_prefix}:{sys.base_prefix}:ro", "-v", "/usr:/usr:ro"),
    *("-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro"),
]
# Whoever is executed in `/proc/self/exe` is the engine's interpreter: it keeps its own file and becomes a shell.
REOPEN = """
import os
fd = os.open("/proc/self/exe", os.O_RDONLY)
print(os.readlink("/proc/self/exe"), bool(os.fstatvfs(fd).f_flag & os.ST_RDONLY))
for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND):
    for path in ("/proc/self/exe", f"/proc/self/fd/{fd}"):
        try:
            os.open(path, flags)
            print("WRITABLE", path)
        except OSError as error:
            print(error.errno)
for name in os.listdir("/proc/self/map_files"):
    try:
        os.open(f"/proc/self/map_files/{name}", os.O_WRONLY)
        print("WRITABLE", name)
    except OSError:
        pass
"""
# Tries to have a grip on every process that ever shows; what is not its own kind is told. A program that is just being
# executed has a stack and nothing else.
WATCH = """
echo ready
while :; do
  for p in /proc/[0-9]*; do
    if true 2>/dev/null >>$p/exe; then echo WRITABLE $p; fi
    if read -r line 2>/dev/null <$p/maps; then case $line in *busybox*|*"[stack]"|"") ;; *) echo MAPS $line;; esac; fi
    if read -r line 2>/dev/null <$p/environ; then case $line in *WHERRY*|*PYTHON*) echo ENVIRON $line;; esac; fi
  done
done
"""


def host_files():
    """What the engine runs from, with times and sizes."""
    paths = [Path(os.path.realpath(sys.executable)), *Path(sys.base_prefix).glob("lib/*.so*")]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


@pytest.mark.parametrize("way", ["run", "exec"])
@pytest.mark.parametrize("program", ["link", "script"])
def test_a_program_that_is_the_engines_own_gets_it_from_a_read_only_mount(daemon, image, layer, way, program):
    """CVE-2019-5736."""
    trap = layer().symlink("link", "/proc/self/exe").file("reopen.py", REOPEN.encode())
    trap.file("script", b"#!/proc/self/exe\n" + REOPEN.encode(), mode=0o755)
    name, before = image(trap), host_files()
    command = ["/link", "/reopen.py"] if program == "link" else ["/script"]
    if way == "run":
        done = daemon.docker("run", "--rm", *HOST_PYTHON, name, *command, check=False)
    else:
        daemon.docker("run", "-d", "--name", "victim", *HOST_PYTHON, name, "sleep", "1000")
        done = daemon.docker("exec", "victim", *command, check=False)
    assert "WRITABLE" not in done.stdout
    assert host_files() == before
    if (way, program) == ("exec", "link"):
        # Who looks for the program is not in the container's pid namespace: there, its own /proc/self leads nowhere.
        assert done.returncode == 127
        return
    exe, is_read_only = done.stdout.splitlines()[0].split()
    assert (Path(exe).name, is_read_only) == (Path(os.path.realpath(sys.executable)).name, "True")


@pytest.mark.parametrize("rounds", [ROUNDS, LONG])
@pytest.mark.parametrize("capabilities", [(), ("--cap-add=SYS_PTRACE",)], ids=["default", "ptrace"])
def test_nothing_of_the_engine_can_be_gripped_while_it_enters(daemon, rounds, capabilities):
    """CVE-2016-9962, CVE-2019-5736: no process with more than the container has is ever open to it."""
    daemon.docker("run", "-d", "--name", "watcher", *capabilities, "busybox", "sh", "-c", WATCH)
    for _ in range(rounds):
        daemon.docker("exec", "watcher", "true")
    seen = set(daemon.out("logs", "watcher").splitlines())
    assert not [line for line in seen if line.startswith(("WRITABLE", "ENVIRON"))]
    if not capabilities:
        assert seen == {"ready"}


def test_no_descriptor_is_a_way_out_for_whoever_enters(daemon, canary, secret):
    """CVE-2024-21626."""
    daemon.docker("run", "-d", "--name", "inside", "busybox", "sleep", "1000")
    for number in range(3, 12):
        path = f"/proc/self/fd/{number}"
        done = daemon.docker(
            "exec", "-w", path, "inside", "sh", "-c", f"cat ../../../../..{canary}/secret", check=False
        )
        assert done.returncode != 0
        assert secret not in done.stdout


def test_no_descriptor_is_a_way_out_for_an_images_working_directory(daemon, image, canary):
    for number in (3, 5, 7, 8, 9, 10, 12):
        name = image(None, f"WORKDIR /proc/self/fd/{number}")
        done = daemon.docker("run", "--rm", name, "sh", "-c", f"cat ../../../../..{canary}/secret", check=False)
        assert done.returncode != 0
        assert not done.stdout


@pytest.fixture
def volume(daemon):
    """A volume that a hostile neighbour shares, by name, and where it is on the host."""
    daemon.docker("volume", "create", "shared")
    return Path(daemon.out("volume", "inspect", "-f", "{{.Mountpoint}}", "shared"))


@pytest.mark.parametrize("rounds", [ROUNDS, LONG])
@pytest.mark.parametrize("target", ["/", "canary"])
def test_a_mount_point_that_is_swapped_for_a_link_leads_nowhere(daemon, volume, exchanging, canary, rounds, target):
    """CVE-2021-30465, CVE-2024-45310."""
    (volume / "x/y").mkdir(parents=True)
    (volume / "link").symlink_to(canary if target == "canary" else target)
    exchanging(volume / "x", volume / "link")
    look = f"cat /v/x/secret /v/x/y/secret /v/x{canary}/secret /v/x/y{canary}/secret 2>/dev/null; true"
    for number in range(rounds):
        kind = ("--tmpfs=/v/x/y", "--mount=type=volume,dst=/v/x/y/made", f"-v={canary}/directory:/v/x/z:ro")[number % 3]
        done = daemon.docker("run", "--rm", "-v", "shared:/v", kind, "busybox", "sh", "-c", look, check=False)
        assert done.stdout == ""
        assert daemon.process.poll() is None


@pytest.mark.parametrize("rounds", [ROUNDS, LONG])
@pytest.mark.parametrize("terminal", [False, True], ids=["null", "console"])
def test_devices_that_are_swapped_unmask_nothing(daemon, volume, exchanging, canary, rounds, terminal):
    """CVE-2025-31133, CVE-2025-52565: a neighbour works on the volume that is this container's /dev."""
    for name in ("pts", "shm", "mqueue"):
        (volume / name).mkdir()
    os.mknod(volume / "null", 0o20666, os.makedev(1, 3))
    (volume / "console").touch()
    (volume / "link").symlink_to("/proc/sys/kernel/core_pattern")
    exchanging(volume / ("console" if terminal else "null"), volume / "link")
    look = "grep -c . /proc/keys /proc/timer_list; echo x 2>/dev/null >/proc/sys/kernel/core_pattern && echo WRITABLE"
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    options = ["-t"] if terminal else []
    for _ in range(rounds):
        done = daemon.docker("run", "--rm", *options, "-v", "shared:/dev", "busybox", "sh", "-c", look, check=False)
        assert "WRITABLE" not in done.stdout
        assert not re.search("keys:[1-9]|list:[1-9]", done.stdout)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


# Where an image has a link instead of what the engine puts there, and what of the canary each leads to.
LINKS = {
    **dict.fromkeys(("dev", "etc", "dev/shm", "dev/pts", "dev/mqueue", "dev/fd", "run", "work", "volume", "sbin"), ""),
    **dict.fromkeys(("etc/hosts", "etc/resolv.conf", "etc/hostname", "etc/passwd", "etc/mtab"), "/secret"),
    ".dockerenv": "/new",
    "dev/null": "/null",
    "dev/console": "/secret",
    "dev/ptmx": "/fifo",
    "dev/full": "/secret",
}


@pytest.mark.parametrize("link", LINKS)
def test_a_link_in_an_image_leads_to_the_image(daemon, image, layer, canary, secret, link):
    """CVE-2026-41579, CVE-2025-52565, CVE-2025-52881."""
    name = image(layer().symlink(link, f"{canary}{LINKS[link]}"))
    options = ("-t", "--init", "-w", "/work/here", "--tmpfs=/run/tmp", "-v=data:/volume/deep", "--device=/dev/full")
    look = f"cat /etc/hosts /etc/passwd {canary}/secret; cat {canary}/*"
    done = daemon.docker("run", "--rm", *options, name, "sh", "-c", look, check=False, text=False)
    assert secret.encode() not in done.stdout


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_an_images_proc_and_sys_are_directories_whatever_it_says(daemon, image, layer, canary, name):
    """CVE-2019-19921, CVE-2023-27561: the engine's own layer makes them, as dockerd's does."""
    made = image(layer().directory("trap").symlink(name, "/trap"))
    script = f"stat -c %F /{name}; grep -c ' /{name} ' /proc/mounts; ls /trap"
    assert daemon.out("run", "--rm", "--sysctl=net.ipv4.ip_forward=1", made, "sh", "-c", script).split() == [
        "directory",
        "1",
    ]


@pytest.mark.parametrize("place", ["/proc/self/attr", "/proc/sys", "/proc/1", "/proc/sys/kernel", "/proc"])
def test_nothing_is_mounted_inside_of_proc(daemon, place):
    """CVE-2019-16884, CVE-2025-52881: there would be no telling what writes to it mean."""
    for option in (f"-v=data:{place}", f"--tmpfs={place}"):
        done = daemon.docker("run", "--rm", option, "busybox", "true", check=False)
        assert done.returncode != 0
        assert "cannot be mounted" in done.stderr


def test_code_in_an_image_is_not_the_engines(daemon, image, layer, canary):
    """CVE-2019-14271: what the engine does in a root is done with what it had loaded before."""
    evil = f"import os\nopen('/owned', 'w')\nopen({str(canary / 'owned')!r}, 'w')\n".encode()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    trap = layer()
    for place in (f"usr/lib/{version}", f"{sys.base_prefix[1:]}/lib/{version}", f"usr/lib/{version}/encodings", "."):
        for module in ("sitecustomize.py", "os.py", "codecs.py", "__init__.py", "pwd.py", "idna.py"):
            trap.file(f"{place}/{module}", evil)
    for library in ("libnss_files.so.2", "libnss_compat.so.2", "libc.so.6"):
        trap.file(f"lib/x86_64-linux-gnu/{library}", b"\x7fELF not really", mode=0o755)
    for tool in ("xz", "unpigz", "zstd", "tar", "iptables", "modprobe"):
        trap.file(f"usr/bin/{tool}", b"#!/bin/sh\ntouch /owned\n", mode=0o755)
    name = image(trap)
    daemon.docker("run", "-d", "--name", "trapped", "--user", "user", "-v", "new:/usr/lib", name, "sleep", "1000")
    daemon.docker("exec", "--user", "daemon", "trapped", "true")
    daemon.docker("top", "trapped")
    daemon.docker("save", name, text=False)
    assert "owned" not in daemon.out("exec", "trapped", "ls", "/").split()


def test_labels_of_an_image_do_not_steer_the_engine(daemon, image, canary):
    """CVE-2026-53488: what stands in a label is a label."""
    keys = (
        "containerd.io/restart.loguri",
        "com.docker.runtime",
        "io.wherry.restart",
        "io.wherry.log",
        "desktop.docker.io",
    )
    name = image(None, *(f'LABEL {key}="binary:///bin/touch?{canary}/owned"' for key in keys))
    daemon.docker("run", "-d", "--name", "labelled", name, "sleep", "1000")
    shown = json.loads(daemon.out("inspect", "-f", "{{json .}}", "labelled"))
    assert shown["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert shown["HostConfig"]["LogConfig"]["Type"] == "json-file"
    assert shown["HostConfig"]["Runtime"] == daemon.out("info", "-f", "{{.DefaultRuntime}}")
    assert set(shown["Config"]["Labels"]) == set(keys)
