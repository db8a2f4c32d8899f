"""What a default container is allowed, seen from inside: Docker's defaults as one table, tried and not only read."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from wherry.engine.defaults.paths import READONLY, masked_paths

IS_V1 = Path("/sys/fs/cgroup/devices").is_dir()
DEFAULT_CAPABILITIES = "00000000a80425fb"
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NONE = "0" * 16
# How a process comes to be: what `run` or `exec` is told, and then CapPrm and CapEff, CapBnd.
PROCESSES = {
    "run": ((), None, DEFAULT_CAPABILITIES, DEFAULT_CAPABILITIES),
    "run as a user": (("--user=1000",), None, NONE, DEFAULT_CAPABILITIES),
    "run with one more": (("--cap-add=NET_ADMIN",), None, "00000000a80435fb", "00000000a80435fb"),
    "run with none": (("--cap-drop=ALL",), None, NONE, NONE),
    "exec": ((), (), DEFAULT_CAPABILITIES, DEFAULT_CAPABILITIES),
    "exec as a user": ((), ("--user=1000",), NONE, DEFAULT_CAPABILITIES),
    "exec beside a user": (("--user=1000",), (), NONE, DEFAULT_CAPABILITIES),
    "exec as root beside a user": (("--user=1000",), ("--user=0",), DEFAULT_CAPABILITIES, DEFAULT_CAPABILITIES),
}


def rows(text):
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


@pytest.mark.parametrize("case", PROCESSES)
def test_nothing_is_inherited_and_no_more_held_than_docker_gives(daemon, case):
    """CVE-2022-29162, CVE-2022-24769."""
    run_options, exec_options, held, bound = PROCESSES[case]
    command = ("cat", "/proc/self/status")
    if exec_options is None:
        found = rows(daemon.out("run", "--rm", *run_options, "busybox", *command))
    else:
        daemon.docker("run", "-d", "--name", "there", *run_options, "busybox", "sleep", "1000")
        found = rows(daemon.out("exec", *exec_options, "there", *command))
    assert [found[name] for name in SETS] == [NONE, held, held, bound, NONE]
    assert (found["NoNewPrivs"], found["Seccomp"], found["Seccomp_filters"]) == ("0", "2", "1")
    assert (found["Umask"], found["Uid"].split()[0]) == ("0022", "1000" if held == NONE and "none" not in case else "0")


@pytest.mark.parametrize("way", ["run", "exec", "run -t", "exec -t"])
def test_only_three_streams_are_open(daemon, way):
    verb, _, terminal = way.partition(" ")
    options = [terminal] if terminal else []
    script = "ls -l /proc/$$/fd"
    if verb == "run":
        text = daemon.out("run", "--rm", *options, "busybox", "sh", "-c", script)
    else:
        daemon.docker("run", "-d", "--name", "there", "busybox", "sleep", "1000")
        text = daemon.out("exec", *options, "there", "sh", "-c", script)
    streams = dict(re.findall(r"([0-9]+) -> (\S+)", text))
    assert set(streams) == {"0", "1", "2"}
    assert all(re.fullmatch(r"/dev/null|/dev/pts/0|pipe:\[[0-9]+\]", target) for target in streams.values()), streams


def test_masked_paths_are_empty_and_cannot_be_filled(sh):
    paths = [path for path in masked_paths() if os.path.lexists(path)]
    script = "".join(
        f"if [ -d {path} ]; then ls -A {path} | wc -l; touch {path}/x 2>/dev/null && echo MADE;"
        f"else stat -c '%t:%T' {path}; wc -c <{path}; fi;"
        for path in paths
    )
    text = sh(script + "true")
    assert "MADE" not in text
    assert set(text.split()) <= {"0", "1:3"}
    assert len(text.split()) >= len(paths)


def test_masks_cannot_be_taken_away(sh):
    for path in ("/proc/keys", "/proc/timer_list", "/sys/firmware"):
        for command in (f"umount {path}", f"mount -t proc proc {path}", f"rm -rf {path}", f"mv {path} /tmp/x"):
            assert sh(f"{command} 2>&1 && echo DONE; true").count("DONE") == 0


def test_readonly_paths_refuse_to_be_written(sh):
    paths = [path for path in READONLY if os.path.exists(path)]
    assert sh("exec 2>&1;" + "".join(f"chmod 700 {path};" for path in paths) + "true").count(
        "Read-only file system"
    ) == len(paths)
    files = ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sys/kernel/hostname")
    text = sh(f"exec 2>&1; for f in {' '.join(files)}; do echo x >$f; done; mount -o remount,rw /proc/sys; true")
    assert text.count("Read-only file system") == len(files)
    assert "permission denied" in text.lower() or "not permitted" in text


def test_sys_and_its_cgroups_are_readonly(sh):
    places = ["/sys", "/sys/kernel", "/sys/fs/cgroup", *(f"/sys/fs/cgroup/{name}" for name in ("devices", "memory"))]
    places = [place for place in places if os.path.isdir(place)]
    text = sh("".join(f"touch {place}/x 2>&1; mkdir {place}/y 2>&1;" for place in places) + "true")
    assert text.count("Read-only file system") == 2 * len(places)
    assert sh("mount -o remount,rw /sys 2>&1; mount -o remount,rw /sys/fs/cgroup 2>&1; true").count("denied") == 2


@pytest.mark.skipif(not IS_V1, reason="cgroup v1 alone has release agents")
def test_no_release_agent_can_be_set(sh):
    """CVE-2022-0492."""
    files = "for h in /sys/fs/cgroup/*; do echo /x >$h/release_agent; echo 1 >$h/notify_on_release; done"
    written = sh(f"exec 2>&1; {files}; true").splitlines()
    assert all(line.startswith("sh: can't create") for line in written)
    assert sum("Read-only file system" in line for line in written) >= 8
    for command in (
        "unshare -Urm true",
        "unshare -r true",
        "mount -t cgroup -o rdma x /tmp",
        "mount -t cgroup2 x /tmp",
    ):
        answer = sh(f"{command} 2>&1 && echo DONE; true")
        assert "not permitted" in answer or "denied" in answer


DEVICES = {
    "c 1 3": True, "c 1 5": True, "c 1 7": True, "c 1 8": True, "c 1 9": True, "c 5 0": True,
    "c 1 1": False, "c 1 2": False, "c 1 11": False, "c 10 229": False, "c 10 237": False, "c 4 0": False,
    "b 254 0": False, "b 8 0": False, "b 7 0": False, "b 259 0": False, "b 253 0": False,
}  # fmt: skip


def test_device_nodes_can_be_made_and_only_dockers_opened(sh):
    script = "".join(
        f"mknod /n{place} {node} && {{ (exec 3</n{place}) 2>/tmp/e && echo yes || cat /tmp/e; }};"
        for place, node in enumerate(DEVICES)
    )
    answers = sh(script).splitlines()
    assert len(answers) == len(DEVICES)
    for node, answer in zip(DEVICES, answers, strict=True):
        # Without a terminal of its own /dev/tty is allowed, but not there.
        assert ("not permitted" in answer) is not DEVICES[node], (node, answer)


@pytest.mark.skipif(not IS_V1, reason="cgroup v2 has no list, but a program")
def test_the_list_of_devices_is_dockers(sh):
    wanted = {"b *:* m", "c *:* m", "c 136:* rwm", "c 10:200 rwm", "c 5:2 rwm"}
    wanted |= {f"c {node} rwm" for node in ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1")}
    assert set(sh("cat /sys/fs/cgroup/devices$(sed -n 's/.*:devices://p' /proc/self/cgroup)/devices.list || "
                  "cat /sys/fs/cgroup/devices/devices.list").splitlines()) == wanted  # fmt: skip


def test_every_container_has_a_session_keyring_of_its_own(daemon):
    daemon.docker("run", "-d", "--name", "keys", "--privileged", "busybox", "sleep", "1000")
    identity = daemon.out("inspect", "-f", "{{.Id}}", "keys")
    assert f"_ses.{identity}" in daemon.out("exec", "keys", "cat", "/proc/keys")


def test_mounts_have_dockers_kinds_and_options(sh):
    table = [line.split() for line in sh("cat /proc/mounts").splitlines()]
    options = {row[1]: (row[2], set(row[3].split(","))) for row in table}
    wanted = {
        "/proc": ("proc", {"rw", "nosuid", "nodev", "noexec"}),
        "/dev": ("tmpfs", {"nosuid", "size=65536k", "mode=755"}),
        "/dev/pts": ("devpts", {"nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"}),
        "/sys": ("sysfs", {"ro", "nosuid", "nodev", "noexec"}),
        "/dev/mqueue": ("mqueue", {"nosuid", "nodev", "noexec"}),
        "/dev/shm": ("tmpfs", {"nosuid", "nodev", "noexec", "size=65536k"}),
    }
    for path, (kind, some) in wanted.items():
        assert options[path][0] == kind
        assert some <= options[path][1], path
    for path in ("/etc/resolv.conf", "/etc/hostname", "/etc/hosts"):
        assert path in options


def test_the_network_is_as_docker_sets_it_up(daemon):
    names = "ipv4/ip_unprivileged_port_start ipv4/ping_group_range ipv6/conf/eth0/accept_ra"
    text = daemon.out("run", "--rm", "busybox", "sh", "-c", f"cd /proc/sys/net; cat {names}")
    # CVE-2020-13401: a neighbour's router advertisements change nothing here.
    assert [line.split() for line in text.splitlines()] == [["0"], ["0", "2147483647"], ["0"]]


def test_the_bridge_takes_no_container_for_a_router(daemon):
    """CVE-2020-13401. What comes in by a port is the bridge's: its ports hear nothing themselves."""
    name = json.loads(daemon.out("network", "inspect", "bridge"))[0]["Options"]["com.docker.network.bridge.name"]
    path = Path(f"/proc/sys/net/ipv6/conf/{name}/accept_ra")
    assert not path.exists() or path.read_text().strip() == "0"


def test_nothing_of_the_engine_listens_where_a_container_on_the_hosts_network_could_speak_to_it(daemon):
    """CVE-2020-15257: sockets have paths, and those are in no container."""
    daemon.docker("run", "-d", "-t", "--name", "terminal", "busybox", "sh")
    ours = [daemon.process.pid, *descendants(daemon.process.pid), *monitors()]
    inodes = {target for pid in ours for target in sockets(pid)}
    listed = daemon.out("run", "--rm", "--network=host", "busybox", "cat", "/proc/net/unix").splitlines()[1:]
    abstract = {row.split()[6] for row in listed if len(row.split()) > 7 and row.split()[7].startswith("@")}
    assert inodes
    assert inodes & {row.split()[6] for row in listed}
    assert not inodes & abstract
    found = daemon.out("run", "--rm", "--network=host", "busybox", "sh", "-c", f"ls {daemon.root} 2>/dev/null; true")
    assert found == ""


def test_another_user_of_the_host_reaches_neither_sockets_nor_files(daemon):
    """CVE-2020-15257, CVE-2021-41091."""
    daemon.docker("run", "-d", "--name", "there", "-v", "data:/data", "busybox", "sleep", "1000")
    identity = daemon.out("inspect", "-f", "{{.Id}}", "there")
    data, runtime = daemon.root / "data", daemon.root / "exec"
    inside = [path for root in (data, runtime) for path in root.rglob("*") if path.is_socket() or identity in str(path)]
    assert any(path.is_socket() for path in inside)
    script = "for p; do if [ -e $p ]; then echo $p; fi; done"
    # Only what is on the way there is in question: pytest's own directories are closed already.
    for path in (data, runtime):
        assert path.stat().st_mode & 0o007 == 0, path
    os.chmod(daemon.root, 0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", script, "sh", *inside],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == ""


MODES = {"": 0o710, "containers": 0o710, "volumes": 0o701, "snapshots/overlay": 0o710, "content": 0o700}


@pytest.mark.parametrize("name", MODES)
def test_directories_are_as_closed_as_dockers(daemon, name):
    """CVE-2021-41091."""
    assert stat.S_IMODE((daemon.root / "data" / name).stat().st_mode) | MODES[name] == MODES[name]


def descendants(pid):
    children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for child in children for each in (child, *descendants(child))]


def monitors():
    return [
        int(path.parent.name) for path in Path("/proc").glob("[0-9]*/comm") if path.read_text().startswith("wherry")
    ]


def sockets(pid):
    for path in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(path)
        if target.startswith("socket:["):
            yield target[8:-1]
