"""What containers use, as `stats` tells it: the numbers are the kernel's."""

import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
MIB = 1 << 20
V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()


def sample(daemon, name, query="stream=false"):
    """One answer, by raw HTTP."""
    client = daemon.client()
    try:
        answer = client.api._get(f"{client.api.base_url}/v1.51/containers/{name}/stats?{query}")
        answer.raise_for_status()
        return answer.json()
    finally:
        client.close()


def connected(address, port):
    """A connection to a server that may not listen yet."""
    while True:
        try:
            return socket.create_connection((address, port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.02)


def group_file(name, controller, file):
    """A file of a container's cgroup, whatever the version."""
    root = Path("/sys/fs/cgroup") if V2 else Path("/sys/fs/cgroup") / controller
    return (root / "docker" / name / file).read_text().strip()


@pytest.fixture
def busy(daemon):
    """A container that keeps a processor busy, within 64 MiB."""
    script = "echo ready; while :; do :; done"
    return daemon.out("run", "-d", "--name", "busy", "-m", "64m", "--pids-limit", "50", "busybox", "sh", "-c", script)


def test_stats_are_what_the_control_group_counts(daemon, busy):
    script = "dd if=/dev/zero of=/tmp/x bs=1M count=20 2>/dev/null; sleep 1000 & sleep 1000 & exec sleep 1000"
    name = daemon.out("run", "-d", "--network", "none", "--tmpfs", "/tmp", "busybox", "sh", "-c", script)
    while int(group_file(name, "pids", "pids.current")) < 3:
        time.sleep(0.02)
    found = sample(daemon, name)
    assert found["id"] == name
    assert found["pids_stats"]["current"] == 3
    used = int(group_file(name, "memory", "memory.current" if V2 else "memory.usage_in_bytes"))
    assert found["memory_stats"]["usage"] == pytest.approx(used, abs=2 * MIB)
    assert used > 20 * MIB
    assert found["memory_stats"]["limit"] == daemon.client().info()["MemTotal"]
    limited = sample(daemon, busy, "stream=false&one-shot=true")
    assert limited["memory_stats"]["limit"] == 64 * MIB
    assert limited["pids_stats"]["limit"] == 50


def test_stats_tell_the_processors_time_between_two_samples(daemon, busy):
    found = sample(daemon, busy)
    now, before = found["cpu_stats"], found["precpu_stats"]
    spent = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now["system_cpu_usage"] - before["system_cpu_usage"]
    assert found["preread"] < found["read"]
    # It is never idle, but others may have its processor.
    assert 0 < spent <= passed
    assert now["online_cpus"] >= 1
    assert bool(now["cpu_usage"].get("percpu_usage")) is not V2


def test_one_shot_is_one_sample(daemon, busy):
    found = sample(daemon, busy, "stream=false&one-shot=true")
    assert found["preread"] == "0001-01-01T00:00:00Z"
    assert found["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert found["cpu_stats"]["cpu_usage"]["total_usage"] > 0


def test_stats_of_a_stopped_container_are_zeros(daemon):
    name = daemon.out("create", "--name", "still", "busybox")
    found = sample(daemon, name)
    assert (found["name"], found["read"], found["memory_stats"], found["pids_stats"]) == (
        "/still",
        "0001-01-01T00:00:00Z",
        {},
        {},
    )
    assert "networks" not in found


def test_stats_count_what_the_network_brought(daemon):
    script = "while :; do nc -l -p 80 -e cat; done"
    name = daemon.out("run", "-d", "--name", "net", "busybox", "sh", "-c", script)
    before = sample(daemon, name, "stream=false&one-shot=true")["networks"]["eth0"]
    address = daemon.out("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name)
    with connected(address, 80) as client:
        client.sendall(b"x" * 3000)
        assert client.recv(3000, socket.MSG_WAITALL) == b"x" * 3000
    after = sample(daemon, name, "stream=false&one-shot=true")["networks"]["eth0"]
    assert after["rx_bytes"] - before["rx_bytes"] >= 3000
    assert after["tx_bytes"] - before["tx_bytes"] >= 3000
    assert set(after) == {f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")}
    host = daemon.out("run", "-d", "--network", "host", "busybox", "sleep", "1000")
    assert "networks" not in sample(daemon, host, "stream=false&one-shot=true")


def test_a_stream_goes_on_when_the_container_stops_and_ends_when_it_is_removed(daemon, busy):
    client = daemon.client()
    stream = client.api.stats(busy, decode=True, stream=True)
    assert next(stream)["memory_stats"]
    daemon.docker("kill", busy)
    while next(stream)["memory_stats"]:
        pass
    daemon.docker("start", busy)
    while not next(stream)["memory_stats"]:
        pass
    daemon.docker("rm", "-f", busy)
    assert all(found["id"] == busy for found in stream)
    client.close()


def test_many_watchers_see_the_same_samples(daemon, busy):
    def reads(_):
        client = daemon.client()
        stream = client.api.stats(busy, decode=True, stream=True)
        found = [next(stream)["read"] for _ in range(3)]
        stream.close()
        client.close()
        return found

    with ThreadPoolExecutor(5) as watchers:
        found = list(watchers.map(reads, range(5)))
    # One reader for all: nobody has a time of his own.
    assert len({each for times in found for each in times}) <= 5


def test_docker_shows_what_the_api_says(daemon, busy):
    script = "exec sleep 1000"
    quiet = daemon.out("run", "-d", "--name", "quiet", "--network", "none", "busybox", "sh", "-c", script)
    lines = daemon.out("stats", "--no-stream", "--format", "{{json .}}").splitlines()
    rows = {row["Name"]: row for row in map(json.loads, lines)}
    assert set(rows) == {"busy", "quiet"}
    assert rows["busy"]["ID"] == busy[:12]
    assert rows["busy"]["MemUsage"].endswith("/ 64MiB")
    assert float(rows["busy"]["CPUPerc"].rstrip("%")) > float(rows["quiet"]["CPUPerc"].rstrip("%"))
    assert rows["quiet"]["PIDs"] == "1"
    ours = daemon.wherry("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.NetIO}}", "quiet").stdout
    assert ours == "quiet 1 0B / 0B\n"
    assert quiet


def test_wherry_stats_follows_containers_as_they_come_and_go(daemon, busy):
    program = subprocess.Popen(
        [BIN / "wherry", "stats", "--format", "{{.Name}}"],
        env=daemon.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout.readline().endswith("busy\n")
        daemon.docker("run", "-d", "--name", "second", "busybox", "sleep", "1000")
        while not program.stdout.readline().endswith("second\n"):
            pass
        daemon.docker("rm", "-f", "busy", "second")
    finally:
        program.send_signal(signal.SIGINT)
        program.wait(10)
        program.stdout.close()


def test_a_watcher_that_leaves_takes_the_reader_along(daemon, busy):
    program = subprocess.Popen(["docker", "stats", busy], env=daemon.environment, stdout=subprocess.PIPE)
    while b"busy" not in program.stdout.readline():
        pass
    program.kill()
    program.wait()
    program.stdout.close()
    # Nobody watches, so nobody reads; a further one begins anew.
    assert sample(daemon, busy)["memory_stats"]
