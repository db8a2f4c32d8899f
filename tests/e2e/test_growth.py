"""Nothing grows: a thousand containers, a thousand clients, and the daemon holds what it held before."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wherry.linux.namespaces import CLONE_NEWNET, setns

# What counts must come back to exactly what it was; this long things that are torn down after the answer may take.
SETTLING_SECONDS = 20
# The events that the daemon remembers, which it must have seen before its memory can be even (events.bus).
HISTORY = 1024
# How long a silent peer has until it is given up: nine questions, fifteen seconds apart, after the first silence.
VANISHED_SECONDS = 15 * 10 + 20
# What caches and the allocator's whims may take, however many rounds there were.
KILOBYTES_MAX = 400
OBJECTS_MAX = 300
# The execs that are remembered after their end (engine.exec).
ENDED_EXECS = 256
# Threads are made when there is work for them: the loop's own pool on two processors, the library's, ledger, teardown.
THREADS_MAX = 1 + (os.cpu_count() + 4) + 8 + 2


class Raw(http.client.HTTPConnection):
    """HTTP over a unix socket or TCP, without a client library in between."""

    def __init__(self, address):
        super().__init__("daemon", timeout=60)
        self.address = address

    def connect(self):
        family = socket.AF_INET if isinstance(self.address, tuple) else socket.AF_UNIX
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.address)

    def ask(self, method, path, body=None, *, expect=(200, 201, 204)):
        data = None if body is None else json.dumps(body)
        self.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        response = self.getresponse()
        text = response.read()
        assert response.status in expect, (method, path, response.status, text)
        return json.loads(text) if text.strip() else None


def private_memory(pid):
    """Kilobytes of memory that a process has for itself alone."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise AssertionError(pid)


def count_namespaces():
    found = set()
    for path in Path("/proc").glob("[0-9]*/ns/*"):
        try:
            found.add(os.readlink(path))
        except OSError:
            continue
    return len(found)


def count_elements(daemon):
    ruleset = subprocess.run(["nft", "-j", "list", "table", "inet", f"wherry-{daemon.bridge}"],
                             capture_output=True, text=True, check=True).stdout  # fmt: skip
    return sum(len(each[kind].get("elem", ())) for each in json.loads(ruleset)["nftables"]
               for kind in ("set", "map") if kind in each)  # fmt: skip


def count_processes():
    """But the kernel's threads, which are all children of the process 2."""
    return sum(1 for path in Path("/proc").glob("[0-9]*/stat") if parent(path) not in (None, "2"))


def parent(path):
    try:
        return path.read_text().rpartition(")")[2].split()[1]
    except OSError:
        return None  # it has ended


def look(daemon):
    """Everything that could grow, but memory."""
    held = Raw(str(daemon.socket)).ask("GET", "/debug/vars")
    return {
        **held["wherry"],
        "too many threads": held["memstats"]["Threads"] > THREADS_MAX,
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "links": len(os.listdir("/sys/class/net")),
        "cgroups": sum(len(directories) for _, directories, _ in os.walk("/sys/fs/cgroup")),
        "namespaces": count_namespaces(),
        "elements": count_elements(daemon),
        "processes": count_processes(),
        "run directories": os.listdir(daemon.root / "exec/containers"),
        "directories": os.listdir(daemon.root / "data/containers"),
        "snapshots": sorted(str(path) for path in (daemon.root / "data/snapshots").glob("*/*/*")),
    }


def grown(before, now):
    """What there is more of, or what is there that was not."""
    return {key: (before[key], now[key]) for key in now if _is_more(before[key], now[key])}


def _is_more(before, now):
    return bool(set(now) - set(before)) if isinstance(now, list) else now > before


def settled(daemon):
    """A look that is the same as the two before it."""
    looks = [look(daemon)]
    deadline = time.monotonic() + SETTLING_SECONDS
    while looks[-3:] != [looks[-1]] * 3 and time.monotonic() < deadline:
        time.sleep(0.1)
        looks.append(look(daemon))
    return looks[-1]


def growth_since(daemon, before, seconds=SETTLING_SECONDS):
    """What has grown and does not go away again."""
    deadline = time.monotonic() + seconds
    while (found := grown(before, look(daemon))) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def memory(daemon):
    """Kilobytes of the daemon's own, and its blocks of Python's allocator."""
    held = Raw(str(daemon.socket)).ask("GET", "/debug/vars?types=1")
    return private_memory(daemon.process.pid), held["memstats"]["Objects"], held["types"]


def fill_history(daemon):
    connection = Raw(str(daemon.socket))
    for _ in range(HISTORY):
        connection.ask("POST", "/images/busybox/tag?repo=again")
    connection.ask("DELETE", "/images/again")


def body(number):
    """One of some kinds of container, so that every path is walked."""
    host = [
        {"NetworkMode": "none"},
        {"PortBindings": {"80/tcp": [{}], "81/udp": [{"HostIp": "127.0.0.1"}]}},
        {"NetworkMode": "host", "Binds": ["grown:/v"]},
        {"PidsLimit": 50, "Memory": 64 << 20, "Tmpfs": {"/t": ""}},
    ][number % 4]
    ports = {"ExposedPorts": {"80/tcp": {}, "81/udp": {}}} if "PortBindings" in host else {}
    return {"Image": "busybox", "Cmd": ["echo", str(number)], "HostConfig": host, **ports}


def live_and_die(connection, number):
    container = connection.ask("POST", "/containers/create", body(number))["Id"]
    connection.ask("POST", f"/containers/{container}/start")
    assert connection.ask("POST", f"/containers/{container}/wait")["StatusCode"] == 0
    assert connection.ask("GET", f"/containers/{container}/json")["State"]["ExitCode"] == 0
    connection.ask("DELETE", f"/containers/{container}")


def compare(daemon, work, *, warm, rounds):
    """Work `warm` times, look, work on up to `rounds`, look again."""
    fill_history(daemon)
    for number in range(warm):
        work(number)
    before = settled(daemon)
    private, objects, types = memory(daemon)
    for number in range(warm, rounds):
        work(number)
    assert growth_since(daemon, before) == {}
    now_private, now_objects, now_types = memory(daemon)
    grown = {kind: (types.get(kind, 0), count) for kind, count in now_types.items() if count > types.get(kind, 0) + 5}
    print(
        f"{rounds - warm} rounds: private memory {private} -> {now_private} KiB, objects {objects} -> {now_objects}",
        grown,
    )
    assert now_private - private <= KILOBYTES_MAX, grown
    assert now_objects - objects <= OBJECTS_MAX, grown


SOAK = [pytest.mark.soak, pytest.mark.timeout(900)]
ROUNDS = [pytest.param(20, 60, id="60"), pytest.param(200, 1000, id="1000", marks=SOAK)]
# Half of the visits attach.
VISITS_ROUNDS = [pytest.param(20, 60, id="60"), pytest.param(200, 2200, id="2200", marks=SOAK)]


@pytest.mark.parametrize(("warm", "rounds"), ROUNDS)
def test_nothing_grows_when_containers_come_and_go(another_daemon, warm, rounds):
    connection = Raw(str(another_daemon.socket))
    compare(another_daemon, lambda number: live_and_die(connection, number), warm=warm, rounds=rounds)


def upgrade(address, path, body=None):
    """A hijacked connection's socket, after its 101."""
    connection = Raw(address)
    data = b"" if body is None else json.dumps(body).encode()
    connection.connect()
    head = (f"POST {path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n")  # fmt: skip
    connection.sock.sendall(head.encode() + data)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.sock.recv(4096)
        assert piece, answer
        answer += piece
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return connection.sock


def until_closed(client):
    while client.recv(65536):
        pass


ATTACH = "/containers/{}/attach?stream=1&stdin=1&stdout=1&stderr=1&detachKeys=ctrl-x"


def attach_and_close(address, box):
    upgrade(address, ATTACH.format(box)).close()


def attach_and_half_close(address, box):
    with upgrade(address, ATTACH.format(box)) as client:
        client.shutdown(socket.SHUT_WR)
        client.settimeout(20)
        until_closed(client)


def attach_and_talk(address, box):
    with upgrade(address, ATTACH.format(box)) as client:
        client.sendall(b"hello\n")
        assert client.recv(100)


def attach_and_reset(address, box):
    with upgrade(address, ATTACH.format(box)) as client:
        client.sendall(b"hello\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def attach_and_detach(address, box):
    with upgrade(address, ATTACH.format(f"{box}-terminal")) as client:
        client.sendall(b"\x18")
        client.settimeout(20)
        until_closed(client)


def follow(path):
    def leave(address, box):
        connection = Raw(address)
        connection.request("GET", path.format(box))
        assert connection.getresponse().status == 200
        connection.sock and connection.sock.close()

    return leave


def wait_and_leave(address, box):
    connection = Raw(address)
    connection.request("POST", f"/containers/{box}/wait?condition=next-exit")
    assert connection.getresponse().status == 200


def exec_and_leave(address, box):
    connection = Raw(address)
    made = connection.ask(
        "POST", f"/containers/{box}/exec", {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}
    )
    connection.close()
    with upgrade(address, f"/exec/{made['Id']}/start", {}) as client:
        client.shutdown(socket.SHUT_WR)
        client.settimeout(20)
        until_closed(client)


def ask_half(address, box):
    """A head that does not end, and a body that does not come."""
    for words in (b"GET /_pi", b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n{"):
        connection = Raw(address)
        connection.connect()
        connection.sock.sendall(words)
        connection.close()


VISITS = (
    attach_and_close,
    attach_and_half_close,
    attach_and_talk,
    attach_and_reset,
    attach_and_detach,
    follow("/containers/{}/logs?follow=1&stdout=1&tail=1"),
    follow("/events"),
    wait_and_leave,
    ask_half,
    exec_and_leave,
)


@pytest.fixture(scope="module")
def boxes(another_daemon):
    """Two containers that repeat what they are told, one with a terminal; as many execs as are remembered are over."""
    common = ["run", "-d", "-i", "--network", "none"]
    another_daemon.docker(*common, "--name", "box", "busybox", "cat")
    another_daemon.docker(*common, "-t", "--name", "box-terminal", "busybox", "cat")
    connection = Raw(str(another_daemon.socket))
    for _ in range(ENDED_EXECS + 10):
        made = connection.ask("POST", "/containers/box/exec", {"Cmd": ["true"]})
        connection.ask("POST", f"/exec/{made['Id']}/start", {"Detach": True})
    yield "box"
    another_daemon.docker("rm", "-f", "box", "box-terminal")


@pytest.mark.parametrize("way", ["unix", "tcp"])
@pytest.mark.parametrize(("warm", "rounds"), VISITS_ROUNDS)
def test_nothing_grows_when_clients_come_and_go(another_daemon, boxes, way, warm, rounds):
    address = str(another_daemon.socket) if way == "unix" else another_daemon.tcp

    def visit(number):
        VISITS[number % len(VISITS)](address, boxes)

    compare(another_daemon, visit, warm=warm, rounds=rounds)


class Afar:
    """A host at the other end of a wire that can be cut."""

    ADDRESS = "198.51.100.1"

    def __init__(self):
        for command in (
            "netns add wherryafar",
            "link add wire0 type veth peer name eth0 netns wherryafar",
            f"address add {self.ADDRESS}/24 dev wire0",
            "link set wire0 up",
            "-n wherryafar address add 198.51.100.2/24 dev eth0",
            "-n wherryafar link set eth0 up",
        ):
            subprocess.run(["ip", *command.split()], check=True)

    def inside(self, work):
        """The result of work done by a thread that is there; sockets made there stay there."""
        with ThreadPoolExecutor(1) as thread, open("/run/netns/wherryafar") as netns:
            thread.submit(setns, netns.fileno(), CLONE_NEWNET).result()
            return thread.submit(work).result()

    def cut(self):
        subprocess.run(["ip", "-n", "wherryafar", "link", "set", "eth0", "down"], check=True)

    def remove(self):
        subprocess.run(["ip", "link", "delete", "wire0"], check=True)
        subprocess.run(["ip", "netns", "delete", "wherryafar"], check=True)


@pytest.fixture
def afar():
    place = Afar()
    yield place
    place.remove()


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_clients_that_vanish_without_a_word_are_given_up(another_daemon, boxes, afar):
    """Their cable is cut: no end of stream ever comes, so the kernel has to ask whether they are still there."""
    daemon = another_daemon
    address = (Afar.ADDRESS, daemon.tcp[1])
    before = settled(daemon)

    def come():
        clients = [upgrade(address, ATTACH.format(boxes)) for _ in range(10)]
        for path in ("/events", f"/containers/{boxes}/logs?follow=1&stdout=1", "/_ping") * 5:
            connection = Raw(address)
            connection.request("GET", path)
            assert connection.getresponse().status == 200
            clients.append(connection)
        half = upgrade(address, ATTACH.format(f"{boxes}-terminal"))
        half.shutdown(socket.SHUT_WR)
        return [*clients, half]

    clients = afar.inside(come)
    assert look(daemon)["Connections"] >= before["Connections"] + 10
    monitors = monitor_descriptors(daemon)
    afar.cut()
    assert growth_since(daemon, before, VANISHED_SECONDS) == {}
    assert monitor_descriptors(daemon) <= monitors - 10
    del clients


def monitor_descriptors(daemon):
    """Of all monitors together."""
    pids = [path.parent.name for path in Path("/proc").glob("[0-9]*/comm") if path.read_text().startswith("wherry-mon")]
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


FLOODED_ROUNDS = 40
FLOOD_KILOBYTES_MAX = 8 << 10
LOG_BYTES_MAX = 1 << 19
LOG_FILES = 2
# A line of the log has more than fifty bytes.
NUMBERS_OF_A_LOG = LOG_FILES * LOG_BYTES_MAX // 50


@pytest.fixture
def flood(another_daemon):
    """Runs a container that logs numbers as fast as it can, into two files of half a megabyte; its log's path."""
    names = []

    def run(name, *words):
        options = ["--log-opt", f"max-size={LOG_BYTES_MAX}", "--log-opt", f"max-file={LOG_FILES}"]
        another_daemon.docker("run", "-d", "--network", "none", "--name", name, *options, *words)
        names.append(name)
        return Path(another_daemon.out("inspect", "-f", "{{.LogPath}}", name))

    yield run
    another_daemon.docker("rm", "-f", *names)


# In a shell of its own, which has to do without the processes that it cannot have; the first one goes on.
BOMB = "b() { b | b & }; (b) 2>/dev/null & exec tail -f /dev/null"
NUMBERS = ("busybox", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; done")


def log_bytes(path):
    return sum(size_of(each) for each in path.parent.glob(f"{path.name}*"))


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # rotated away since it was listed


def until_it_counted_on(daemon):
    """Wait until so much more was logged that all files of the log are new."""
    begin = last = int(daemon.out("logs", "--tail", "1", "flood"))
    while last < begin + NUMBERS_OF_A_LOG:
        last = int(daemon.out("logs", "--tail", "1", "flood"))


def test_a_fork_bomb_a_memory_hog_and_a_log_flood_leave_the_daemon_at_work(another_daemon, flood):
    daemon = another_daemon
    private = private_memory(daemon.process.pid)
    log = flood("flood", *NUMBERS)
    flood("bomb", "--pids-limit", "50", "busybox", "sh", "-c", BOMB)
    flood("hog", "-m", "20m", "busybox", "sh", "-c", "while :; do tail /dev/zero; done")
    connection = Raw(str(daemon.socket))
    for _ in range(FLOODED_ROUNDS):
        connection.request("GET", "/_ping")
        assert connection.getresponse().read() == b"OK"
        running = {name for each in connection.ask("GET", "/containers/json") for name in each["Names"]}
        assert {"/flood", "/bomb", "/hog"} <= running
        assert log_bytes(log) <= LOG_FILES * LOG_BYTES_MAX + (1 << 16)
        time.sleep(0.05)
    until_it_counted_on(daemon)
    assert connection.ask("GET", "/containers/hog/json")["State"]["Running"]
    connection.ask("POST", "/containers/bomb/kill")
    assert connection.ask("POST", "/containers/bomb/wait")["StatusCode"] == 137
    assert private_memory(daemon.process.pid) - private < FLOOD_KILOBYTES_MAX


@pytest.mark.parametrize("way", ["stopped", "vanished"])
def test_followers_that_do_not_read_hold_nothing_up(another_daemon, flood, way):
    """The log is a file: who follows it slowly, or not at all, costs its container nothing and the daemon little."""
    daemon = another_daemon
    log = flood("flood", *NUMBERS)
    before = settled(daemon)
    private = private_memory(daemon.process.pid)
    follow = ["docker", "logs", "-f", "flood"]
    followers = [subprocess.Popen(follow, env=daemon.environment, stdout=subprocess.PIPE) for _ in range(3)]
    for follower in followers:
        assert follower.stdout.readline()
        follower.send_signal(signal.SIGSTOP if way == "stopped" else signal.SIGKILL)
    until_it_counted_on(daemon)
    assert private_memory(daemon.process.pid) - private < FLOOD_KILOBYTES_MAX
    assert log_bytes(log) <= LOG_FILES * LOG_BYTES_MAX + (1 << 16)
    for follower in followers:
        follower.kill()
        follower.communicate()
    assert growth_since(daemon, before) == {}
