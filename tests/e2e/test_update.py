"""`update`: what it changes, the kernel has at once, inspect shows, and a restart keeps."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

MIB = 1 << 20
V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
v1_only = pytest.mark.skipif(V2, reason="cgroup v2 has no such limit")


def group_file(container, controller, file):
    """A file of a container's cgroup."""
    root = Path("/sys/fs/cgroup") if V2 else Path("/sys/fs/cgroup") / controller
    return (root / "docker" / container / file).read_text().strip()


def memory(container):
    """Its limit of memory, and of memory and swap together (v1) or swap alone (v2)."""
    files = ("memory.max", "memory.swap.max") if V2 else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    return tuple(group_file(container, "memory", file) for file in files)


def host_config(daemon, name):
    return json.loads(daemon.out("inspect", "-f", "{{json .HostConfig}}", name))


def event_of(daemon, since):
    """The first event of that kind since then."""
    return daemon.out("events", "--since", since, "--until", str(time.time()), "--filter", "event=update")


@pytest.fixture
def limited(daemon):
    return daemon.out("run", "-d", "--name", "limited", "-m", "64m", "--network", "none", "busybox", "sleep", "1000")


def test_memory_and_swap_are_raised_and_lowered_live(daemon, limited):
    daemon.docker("update", "-m", "128m", "--memory-swap", "256m", limited)
    assert memory(limited) == (str(128 * MIB), str((128 if V2 else 256) * MIB))
    # Either order of the two writes would be refused for one of these.
    daemon.docker("update", "-m", "32m", "--memory-swap", "32m", limited)
    assert memory(limited) == (str(32 * MIB), str((0 if V2 else 32) * MIB))
    daemon.docker("update", "-m", "512m", "--memory-swap", "-1", limited)
    assert memory(limited)[0] == str(512 * MIB)
    assert V2 or int(memory(limited)[1]) > 1 << 60
    daemon.docker("update", "--memory-reservation", "16m", limited)
    reservation = group_file(limited, "memory", "memory.low" if V2 else "memory.soft_limit_in_bytes")
    assert reservation == str(16 * MIB)
    config = host_config(daemon, limited)
    assert (config["Memory"], config["MemorySwap"], config["MemoryReservation"]) == (512 * MIB, -1, 16 * MIB)


def test_processors_and_pids_are_changed_live(daemon, limited):
    daemon.docker("update", "--cpus", "0.5", "--cpuset-cpus", "0", "--cpuset-mems", "0", "--pids-limit", "44", limited)
    if V2:
        assert group_file(limited, "cpu", "cpu.max") == "50000 100000"
    else:
        assert group_file(limited, "cpu", "cpu.cfs_quota_us") == "50000"
    assert group_file(limited, "cpuset", "cpuset.cpus") == "0"
    assert group_file(limited, "pids", "pids.max") == "44"
    daemon.docker("update", "-c", "512", "--pids-limit", "-1", limited)
    assert group_file(limited, "cpu", "cpu.weight" if V2 else "cpu.shares") == ("59" if V2 else "512")
    assert group_file(limited, "pids", "pids.max") == "max"


def test_quota_and_period_are_changed_together(daemon, limited):
    daemon.docker("update", "--cpu-period", "50000", "--cpu-quota", "25000", limited)
    if V2:
        assert group_file(limited, "cpu", "cpu.max") == "25000 50000"
    else:
        assert group_file(limited, "cpu", "cpu.cfs_period_us") == "50000"
        assert group_file(limited, "cpu", "cpu.cfs_quota_us") == "25000"
    daemon.docker("update", "--cpu-quota", "-1", limited)
    assert group_file(limited, "cpu", "cpu.max" if V2 else "cpu.cfs_quota_us").split()[0] in {"max", "-1"}


@v1_only
def test_what_only_v1_has_is_changed_live(daemon, limited):
    client = daemon.client()
    body = {"MemorySwappiness": 11, "OomKillDisable": True, "KernelMemoryTCP": 8 * MIB}
    answer = client.api._post_json(f"{client.api.base_url}/v1.51/containers/{limited}/update", data=body)
    assert answer.json() == {"Warnings": [
        "OOM killer is disabled for the container, but no memory limit is set, "
        "this can result in the system running out of resources."
    ]}  # fmt: skip
    assert group_file(limited, "memory", "memory.swappiness") == "11"
    assert group_file(limited, "memory", "memory.oom_control").splitlines()[0] == "oom_kill_disable 1"
    assert group_file(limited, "memory", "memory.kmem.tcp.limit_in_bytes") == str(8 * MIB)
    client.api._post_json(
        f"{client.api.base_url}/v1.51/containers/{limited}/update", data={"OomKillDisable": False}
    ).raise_for_status()
    assert group_file(limited, "memory", "memory.oom_control").splitlines()[0] == "oom_kill_disable 0"
    client.close()


def test_a_frozen_container_is_updated_too(daemon, limited):
    daemon.docker("pause", limited)
    daemon.docker("update", "--pids-limit", "33", limited)
    assert group_file(limited, "pids", "pids.max") == "33"
    daemon.docker("unpause", limited)


def test_a_stopped_container_starts_with_the_new_limits(daemon):
    name = daemon.out("create", "--name", "later", "-m", "64m", "busybox", "sleep", "1000")
    daemon.docker("update", "-m", "96m", "--memory-swap", "128m", "--pids-limit", "21", name)
    daemon.restart()
    daemon.docker("start", name)
    assert memory(name) == (str(96 * MIB), str((32 if V2 else 128) * MIB))
    assert group_file(name, "pids", "pids.max") == "21"


def test_a_limit_that_the_kernel_refuses_changes_nothing(daemon, limited):
    before = host_config(daemon, limited)
    daemon.docker("update", "--pids-limit", "70", limited)
    done = daemon.docker("update", "--pids-limit", "30", "-c", "1", limited, check=False)
    assert done.returncode == 1
    assert f"Cannot update container {limited}: " in done.stderr or V2
    if not V2:
        assert group_file(limited, "pids", "pids.max") == "70"
        assert host_config(daemon, limited) == {**before, "PidsLimit": 70}


REFUSED = [
    (("-m", "1m"), "Minimum memory limit allowed is 6MB"),
    (("-m", "256m"), "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at"),
    (("-m", "32m", "--memory-swap", "16m"), "Minimum memoryswap limit should be larger than memory limit"),
    (("--cpu-period", "5"), "CPU cfs period can not be less than 1ms"),
    (("--cpuset-cpus", "900"), "Requested CPUs are not available - requested 900"),
    (("--restart", "odd"), "invalid restart policy: unknown policy 'odd'"),
]


@pytest.mark.parametrize(("flags", "words"), REFUSED, ids=[words[:30] for _, words in REFUSED])
def test_what_makes_no_sense_is_refused_in_dockerds_words(daemon, limited, flags, words):
    before = host_config(daemon, limited)
    done = daemon.docker("update", *flags, limited, check=False)
    assert words in done.stderr
    assert host_config(daemon, limited) == before


def test_limits_that_clash_with_those_there_are_a_conflict(daemon):
    name = daemon.out("run", "-d", "--cpus", "1", "--rm", "--network", "none", "busybox", "sleep", "1000")
    for flags, words in (
        (("--cpu-quota", "50000"), "CPU Quota cannot be updated as NanoCPUs has already been set"),
        (("--cpu-period", "50000"), "CPU Period cannot be updated as NanoCPUs has already been set"),
        (("--restart", "always"), "Restart policy cannot be updated because AutoRemove is enabled for the container"),
    ):
        assert words in daemon.docker("update", *flags, name, check=False).stderr


def test_devices_of_a_container_are_not_silently_left_as_they_are(daemon, limited):
    client = daemon.client()
    answer = client.api._post_json(
        f"{client.api.base_url}/v1.51/containers/{limited}/update", data={"Devices": [{"PathOnHost": "/dev/fuse"}]}
    )
    assert answer.status_code == 400
    assert answer.json()["message"] == "Devices cannot be changed by an update: create the container anew"
    client.close()


def test_another_restart_policy_counts_from_the_next_end_on(daemon):
    script = "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"
    name = daemon.out("run", "-d", "--name", "again", "--network", "none", "busybox", "sh", "-c", script)
    daemon.docker("update", "--restart", "on-failure:1", name)
    assert host_config(daemon, name)["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 1}
    for ups in (1, 2):
        while daemon.out("logs", name).count("up") < ups or not running_pid(daemon, name, restarts=ups - 1):
            time.sleep(0.02)
        os.kill(running_pid(daemon, name, restarts=ups - 1), signal.SIGTERM)
    daemon.docker("wait", name)
    assert daemon.out("inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", name) == "1 exited 3"


def running_pid(daemon, name, *, restarts):
    """Of a container that has been restarted so often; None when it does not run."""
    count, status, pid = daemon.out("inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.Pid}}", name).split()
    return int(pid) if (int(count), status) == (restarts, "running") else None


def test_an_update_is_told_and_shown_by_wherry_too(daemon, limited):
    since = str(time.time())
    assert daemon.wherry("update", "--pids-limit", "55", "limited").stdout == "limited\n"
    assert group_file(limited, "pids", "pids.max") == "55"
    assert f"container update {limited} (image=busybox, name=limited)" in event_of(daemon, since)
