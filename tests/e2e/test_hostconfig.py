"""Fields of HostConfig, each seen by what it does inside of a container."""

import json
import os
from pathlib import Path

import pytest

V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
MIB = 1 << 20
SUBPATH_OF_IMAGES = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 15)


def run(daemon, *arguments, check=True):
    """What a container without a network says."""
    done = daemon.docker("run", "--rm", "--network", "none", *arguments, check=check)
    return done.stdout.strip() if check else done.stderr


def inside(daemon, script, *flags):
    return run(daemon, *flags, "busybox", "sh", "-c", script)


def refused(daemon, words, *flags):
    assert words in run(daemon, *flags, "busybox", "true", check=False)


CGROUPS = "grep ' - cgroup' /proc/self/mountinfo"
SEEN = [
    (("--oom-score-adj", "77"), "cat /proc/self/oom_score_adj", "77"),
    (("--shm-size", "3m"), "df -k /dev/shm | tail -1 | awk '{print $2}'", "3072"),
    (("--ipc", "none"), "test -e /dev/shm || echo none", "none"),
    (("--ipc", "host"), "readlink /proc/self/ns/ipc", os.readlink("/proc/self/ns/ipc")),
    (("--pid", "host"), "readlink /proc/self/ns/pid", os.readlink("/proc/self/ns/pid")),
    (("--uts", "host"), "readlink /proc/self/ns/uts", os.readlink("/proc/self/ns/uts")),
    (("--userns", "host"), "readlink /proc/self/ns/user", os.readlink("/proc/self/ns/user")),
    (("--cgroupns", "host"), "readlink /proc/self/ns/cgroup", os.readlink("/proc/self/ns/cgroup")),
    (("--cgroupns", "private"), "grep -c '/docker/' /proc/self/cgroup || true", "0"),
    (("--cgroup-parent", "/elsewhere"), "grep -c '/elsewhere/' /proc/self/cgroup", "1" if V2 else None),
    (("--sysctl", "kernel.msgmax=1234"), "cat /proc/sys/kernel/msgmax", "1234"),
    (("--sysctl", "net.ipv4.ip_forward=1"), "cat /proc/sys/net/ipv4/ip_forward", "1"),
    (("-h", "host.name", "--domainname", "nis"), "hostname; cat /proc/sys/kernel/domainname", "host.name\nnis"),
    (("--add-host", "other:1.2.3.4"), "grep other /etc/hosts", "1.2.3.4\tother"),
    (("--dns", "9.8.7.6", "--dns-search", "x.y"), "grep -E '^(nameserver|search)' /etc/resolv.conf",
     "nameserver 9.8.7.6\nsearch x.y"),
    (("--dns-option", "ndots:7"), "grep ^options /etc/resolv.conf", "options ndots:7"),
    (("--group-add", "77", "-u", "1000"), "id -G | tr ' ' '\\n' | sort -n | xargs", "77 1000 2000"),
    (("--security-opt", "no-new-privileges"), "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"),
    (("--security-opt", "seccomp=unconfined"), "grep Seccomp: /proc/self/status", "Seccomp:\t0"),
    (("--security-opt", "seccomp=builtin"), "grep Seccomp: /proc/self/status", "Seccomp:\t2"),
    (("--security-opt", "systempaths=unconfined"), "grep -c ' /proc/' /proc/mounts || true", "0"),
    (("--security-opt", "writable-cgroups=true"), f"{CGROUPS} | grep -vc ' rw,' || true", "0"),
    (("--security-opt", "writable-cgroups=false"), f"{CGROUPS} | grep -vc ' ro,' || true", "0"),
    (("--security-opt", "label=disable", "--security-opt", "apparmor=unconfined"), "echo fine", "fine"),
    (("--cap-drop", "ALL", "--cap-add", "CHOWN"), "grep CapEff /proc/self/status", "CapEff:\t0000000000000001"),
    (("--ulimit", "nofile=33:44", "--ulimit", "core=0"), "ulimit -n; ulimit -Hn; ulimit -c", "33\n44\n0"),
    (("--tmpfs", "/t:size=2m,mode=1711,uid=5,exec"), "stat -c '%a %u' /t; grep -c ' /t .*noexec' /proc/mounts || true",
     "1711 5\n0"),
    (("--mount", "type=tmpfs,target=/t,tmpfs-size=2m,tmpfs-mode=700"),
     "stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'", "700\n2048"),
    ((), "grep ' /sys/fs/cgroup tmpfs ' /proc/mounts | cut -d' ' -f1 | sort -u | sed 's/tmpfs//'", ""),
    (("--read-only",), "touch /x 2>/dev/null || echo read-only", "read-only"),
    (("-w", "/made/for/it"), "pwd", "/made/for/it"),
    (("--device", "/dev/fuse:/dev/mine:r"), "test -c /dev/mine && : < /dev/mine && echo read", "read"),
    (("--device-cgroup-rule", "c 10:229 rwm"), "mknod /f c 10 229 && : < /f && echo read", "read"),
    (("--runtime", "runc"), "echo fine", "fine"),
    (("--init",), "cat /proc/1/comm", None),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "script", "said"), SEEN, ids=[" ".join(flags) for flags, _, _ in SEEN])
def test_a_field_does_what_it_says(daemon, flags, script, said):
    shown = inside(daemon, script, *flags)
    assert shown == said if said is not None else shown


LIMITS_V1 = [
    (("-m", "64m"), "memory/memory.limit_in_bytes", 64 * MIB),
    (("-m", "64m"), "memory/memory.memsw.limit_in_bytes", 128 * MIB),
    (("-m", "64m", "--memory-swap", "96m"), "memory/memory.memsw.limit_in_bytes", 96 * MIB),
    (("--memory-reservation", "32m"), "memory/memory.soft_limit_in_bytes", 32 * MIB),
    (("--memory-swappiness", "7"), "memory/memory.swappiness", 7),
    (("-m", "64m", "--oom-kill-disable"), "memory/memory.oom_control", "oom_kill_disable 1"),
    (("-c", "300"), "cpu/cpu.shares", 300),
    (("--cpus", "0.25"), "cpu/cpu.cfs_quota_us", 25000),
    (("--cpu-period", "20000", "--cpu-quota", "10000"), "cpu/cpu.cfs_period_us", 20000),
    (("--cpu-rt-period", "500000"), "cpu/cpu.rt_period_us", 500000),
    (("--cpuset-cpus", "0"), "cpuset/cpuset.cpus", 0),
    (("--cpuset-mems", "0"), "cpuset/cpuset.mems", 0),
    (("--pids-limit", "33"), "pids/pids.max", 33),
    (("--blkio-weight", "300"), "blkio/blkio.bfq.weight", 300),
]
LIMITS_V2 = [
    (("-m", "64m"), "memory.max", 64 * MIB),
    (("-m", "64m", "--memory-swap", "64m"), "memory.swap.max", 0),
    (("--memory-reservation", "32m"), "memory.low", 32 * MIB),
    (("-c", "300"), "cpu.weight", 39),
    (("--cpus", "0.25"), "cpu.max", "25000 100000"),
    (("--cpu-period", "20000", "--cpu-quota", "10000"), "cpu.max", "10000 20000"),
    (("--cpuset-cpus", "0"), "cpuset.cpus", 0),
    (("--cpuset-mems", "0"), "cpuset.mems", 0),
    (("--pids-limit", "33"), "pids.max", 33),
]
LIMITS = LIMITS_V2 if V2 else LIMITS_V1


@pytest.mark.parametrize(("flags", "file", "value"), LIMITS, ids=[f"{' '.join(flags)}" for flags, _, _ in LIMITS])
def test_a_limit_is_the_kernels(daemon, flags, file, value):
    found = inside(daemon, f"head -1 /sys/fs/cgroup/{file}", *flags)
    if file == "cpu.weight":
        assert 0 < int(found) < 100
    else:
        assert found == str(value)


def a_disk():
    return next(name for name in ("vda", "sda", "nvme0n1", "xvda") if Path(f"/sys/block/{name}").exists())


@pytest.mark.skipif(V2, reason="files of cgroup v1")
def test_throttles_of_block_devices_are_the_kernels(daemon):
    device = a_disk()
    number = Path(f"/sys/block/{device}/dev").read_text().strip()
    for flag, file, rate in (
        ("--device-read-bps", "read_bps", 1 << 20),
        ("--device-write-bps", "write_bps", 2 << 20),
        ("--device-read-iops", "read_iops", 300),
        ("--device-write-iops", "write_iops", 400),
    ):
        shown = inside(daemon, f"cat /sys/fs/cgroup/blkio/blkio.throttle.{file}_device", flag, f"/dev/{device}:{rate}")
        assert shown == f"{number} {rate}"
    refused(daemon, "stat /dev/nosuch: no such file or directory", "--device-read-bps", "/dev/nosuch:1")


@pytest.mark.skipif(V2, reason="there the limit is taken whatever the scheduler")
def test_the_weight_of_a_device_without_a_scheduler_for_weights_is_discarded(daemon):
    device = a_disk()
    if "[bfq]" in Path(f"/sys/block/{device}/queue/scheduler").read_text():
        pytest.skip("the scheduler knows weights")
    done = daemon.docker("run", "--rm", "--network=none", f"--blkio-weight-device=/dev/{device}:300", "busybox", "true")
    assert "Your kernel does not support Block I/O weight_device" in done.stderr


REFUSED = [
    (("--storage-opt", "size=1G"), "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"),
    (("--storage-opt", "odd=1"), "Unknown option odd"),
    (("--runtime", "odd"), "unknown or invalid runtime name: odd"),
    (("--security-opt", "writable-cgroups=odd"), 'invalid --security-opt 2: "writable-cgroups=odd"'),
    (("--tmpfs", "/t:odd=1"), 'invalid tmpfs option "odd"'),
    (("--tmpfs", "/t:odd"), 'invalid tmpfs option "odd"'),
    (("--mount", "type=npipe,source=x,target=/x"), 'invalid mount config for type "npipe": mount type unknown'),
    (("--mount", "type=image,target=/x"), 'invalid mount config for type "image": field Source must not be empty'),
    (("--mount", "type=volume,target=/x,volume-subpath=y"), "must not set Subpath when using anonymous volumes"),
    (("--mount", "type=volume,source=vv,target=/x,volume-subpath=../y"), "must be a relative path within the volume"),
    (("--mount", "type=volume,source=vv,target=/x,volume-subpath=/y"), "must be a relative path within the volume"),
]


@pytest.mark.parametrize(("flags", "words"), REFUSED, ids=[" ".join(flags) for flags, _ in REFUSED])
def test_what_cannot_be_is_refused_in_dockerds_words(daemon, flags, words):
    refused(daemon, words, *flags)


def test_a_part_of_a_volume_is_mounted_and_nothing_else(daemon):
    script = (
        "mkdir -p /v/sub/deep; echo here > /v/sub/file; echo secret > /v/secret; ln -s /etc /v/out; ln -s sub /v/in"
    )
    inside(daemon, script, "-v", "parts:/v")

    def part(path, script):
        return inside(daemon, script, "--mount", f"type=volume,source=parts,target=/v,volume-subpath={path}")

    assert part("sub", "ls /v; cat /v/file; echo new > /v/new") == "deep\nfile\nhere"
    assert part("sub/new", "cat /v") == "new"
    assert part("in", "ls /v") == "deep\nfile\nnew"
    mount = "type=volume,source=parts,target=/v,volume-subpath="
    refused(daemon, "subpath out escapes the volume", "--mount", f"{mount}out")
    refused(daemon, "/nosuch: no such file or directory", "--mount", f"{mount}nosuch")


def test_an_image_is_mounted_read_only_and_outlives_its_name(daemon):
    mount = "type=image,source=mounted:1,target=/image"
    daemon.docker("tag", "busybox", "mounted:1")
    assert inside(daemon, "ls /image; touch /image/x 2>/dev/null || echo read-only", "--mount", mount).endswith(
        "read-only"
    )
    if SUBPATH_OF_IMAGES:
        assert "busybox" in inside(daemon, "ls /image", "--mount", f"{mount},image-subpath=bin").split()
    client = daemon.client()
    wish = {"Type": "image", "Source": "mounted/nosuch", "Target": "/image"}
    body = {"Image": "busybox", "HostConfig": {"Mounts": [wish]}}
    answer = client.api._post_json(f"{client.api.base_url}/v1.51/containers/create", data=body)
    assert (answer.status_code, answer.json()["message"]) == (404, "No such image: mounted/nosuch:latest")
    client.close()
    name = daemon.out("create", "--name", "seer", "--network", "none", "--mount", mount, "busybox", "ls", "/image")
    found = json.loads(daemon.out("inspect", "-f", "{{json .Mounts}}", name))
    assert [(each["Type"], each["Name"], each["Destination"], each["RW"]) for each in found] == [
        ("image", "mounted:1", "/image", False)
    ]
    daemon.docker("rmi", "mounted:1")
    daemon.restart()
    assert "bin" in daemon.out("start", "-a", name).split()


def test_a_namespace_is_joined_by_name(daemon):
    script = "echo shared > /dev/shm/file; exec sleep 1000"
    flags = ("--ipc", "shareable", "--shm-size", "1m", "--network", "none")
    owner = daemon.out("run", "-d", "--name", "owner", *flags, "busybox", "sh", "-c", script)
    pid = daemon.out("inspect", "-f", "{{.State.Pid}}", owner)
    for kind in ("pid", "ipc"):
        shown = inside(daemon, f"readlink /proc/self/ns/{kind}", f"--{kind}", "container:owner")
        assert shown == os.readlink(f"/proc/{pid}/ns/{kind}")
    assert inside(daemon, "cat /dev/shm/file; echo too > /dev/shm/mine", "--ipc", "container:owner") == "shared"
    assert daemon.out("exec", "owner", "cat", "/dev/shm/mine") == "too"
    daemon.docker("run", "-d", "--name", "alone", "--network", "none", "busybox", "sleep", "1000")
    refused(
        daemon, "non-shareable IPC (hint: use IpcMode:shareable for the donor container)", "--ipc", "container:alone"
    )


def test_mounts_come_from_another_container(daemon):
    inside_owner = ("--name", "owner", "--network", "none", "-v", "shared:/data", "-v", "/usr/share:/host:ro")
    daemon.docker("create", *inside_owner, "busybox")
    assert (
        inside(daemon, "touch /data/x; ls /data; touch /host/x 2>/dev/null || echo ro", "--volumes-from", "owner")
        == "x\nro"
    )
    assert inside(daemon, "touch /data/y 2>/dev/null || echo ro", "--volumes-from", "owner:ro") == "ro"


def test_warnings_of_create_are_dockerds(daemon):
    client = daemon.client()

    def warnings(**host_config):
        body = {"Image": "busybox", "HostConfig": {"NetworkMode": "none", **host_config}}
        answer = client.api._post_json(f"{client.api.base_url}/v1.51/containers/create", data=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["Warnings"]

    assert warnings() == []
    assert warnings(CpuPercent=5) == ["linux does not support CPU percent. Percent discarded."]
    unlimited = "OOM killer is disabled for the container, but no memory limit is set, "
    assert warnings(OomKillDisable=True) == (
        ["Your kernel does not support OomKillDisable. OomKillDisable discarded."]
        if V2
        else [f"{unlimited}this can result in the system running out of resources."]
    )
    client.close()
