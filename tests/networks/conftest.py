"""A host of the tests' own: a network namespace with a bridge, a neighbour, and sockets wherever a test needs them."""

import asyncio
import os
import select
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from wherry.linux.namespaces import CLONE_NEWNET, setns, unshare
from wherry.linux.netlink import address, link
from wherry.linux.netlink.connection import Connection
from wherry.linux.nftables import Nftables
from wherry.model.config import EndpointRequest
from wherry.networks.driver import JoinRequest
from wherry.networks.local import LocalNetworks
from wherry.networks.options import NetworkOptions

HOST_ADDRESS = "198.51.100.1"
NEIGHBOUR_ADDRESS = "198.51.100.2"
SECONDS = 10


def elsewhere(netns_fd, work):
    """The result of `work()` done by a thread that is in a network namespace; sockets made there stay there."""
    outcome = []

    def run():
        setns(netns_fd, CLONE_NEWNET)
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


class Host:
    """The network namespace that stands for a host while the test runs, and another that stands for a neighbour."""

    def __init__(self, netns_fd, neighbour_fd, route):
        self.netns_fd = netns_fd
        self.neighbour_fd = neighbour_fd
        self.route = route
        self.address = HOST_ADDRESS
        self.neighbour_address = NEIGHBOUR_ADDRESS

    def elsewhere(self, work):
        return elsewhere(self.netns_fd, work)

    def links(self):
        return {found.name: found for found in link.all_links(self.route)}

    def veths(self):
        return {name for name in self.links() if name.startswith("veth")}

    def tables(self):
        nftables = Nftables()
        try:
            return {found["table"]["name"] for found in nftables.query("list tables") if "table" in found}
        finally:
            nftables.close()


@pytest.fixture(autouse=True)
def nothing_left():
    """No test leaves a descriptor, a thread or a process behind."""
    before = _own_things()
    yield
    for pid in _children() - before["children"]:
        _wait_for(pid)
    assert _own_things() == before


def _own_things():
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": {thread.name for thread in threading.enumerate()},
        "children": _children(),
    }


def _children():
    """Living child processes; what is dead is only not yet reaped by those who own it."""
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        found.update(int(pid) for pid in path.read_text().split())
    return {pid for pid in found if _state(pid) not in ("Z", "")}


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _wait_for(pid):
    """A relay process ends by itself when its last daemon has gone."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        select.select([pidfd], [], [], SECONDS)
        os.close(pidfd)


@pytest.fixture
def host():
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with ExitStack() as undo:
        undo.callback(os.close, home)
        undo.callback(setns, home, CLONE_NEWNET)
        neighbour = _fresh(undo)
        own = _fresh(undo)
        route = undo.enter_context(Connection())
        near = link.VethEnd(name="uplink", mtu=1500)
        route.transact([link.set_up(1), link.new_veth(near, link.VethEnd(name="far", mtu=1500, netns_fd=neighbour))])
        _address(route, "uplink", HOST_ADDRESS)
        elsewhere(neighbour, _set_up_neighbour)
        yield Host(own, neighbour, route)


def _fresh(undo):
    unshare(CLONE_NEWNET)
    fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    undo.callback(os.close, fd)
    return fd


def _set_up_neighbour():
    with Connection() as route:
        route.transact([link.set_up(1)])
        _address(route, "far", NEIGHBOUR_ADDRESS)
        # Whatever it does not know it sends to the host under test, as an attacker on the same wire would.
        index = link.find(route, "far").index
        route.transact([address.new_default_route(index, socket.inet_aton(HOST_ADDRESS))])


def _address(route, name, text):
    index = link.find(route, name).index
    route.transact([address.new_address(index, socket.inet_aton(text), 24), link.set_up(index)])


class Records:
    """A shelf of networks in memory."""

    def __init__(self):
        self.records = {}

    def get(self, key):
        return self.records.get(key)

    def values(self):
        return list(self.records.values())

    async def put(self, key, record):
        self.records[key] = record

    async def remove(self, key):
        self.records.pop(key, None)


@pytest.fixture
def records():
    return Records()


@pytest.fixture
async def daemon(host, records, tmp_path):
    """Makes open networks, as a daemon has them; `daemon(options, attached)`. All are closed at the end."""
    made = []

    async def make(options=None, *, attached=(), records=records, exec_root=tmp_path):
        networks = LocalNetworks(options or NetworkOptions(), records, Path(exec_root))
        made.append(networks)
        await networks.open(attached)
        return networks

    yield make
    for networks in made:
        await networks.close()


@pytest.fixture
def crash():
    """What a daemon's death ends at once: its descriptors, with them its spare namespaces, its claim, its watch."""

    def die(networks):
        ground = networks._ground
        ground.spares.close()
        ground.bare_spares.close()
        ground.proxy._hang_up()
        ground.watch.close()
        ground.claim.release()
        ground.watch = ground.claim = None

    return die


@pytest.fixture
async def networks(daemon):
    return await daemon()


@pytest.fixture
async def containers(host):
    """Joins containers to networks; all leave at the end. `containers(networks, port, …)` gives a Sandbox."""
    joined = []

    async def join(networks, *ports, network="bridge", **wishes):
        endpoints = {network: wishes.pop("endpoint", EndpointRequest())} if network else {}
        request = JoinRequest(
            container_id="c" * 64, name="box", hostname="box", endpoints=endpoints, ports=ports, **wishes
        )
        sandbox = await networks.join(request)
        joined.append((networks, sandbox))
        return sandbox

    yield join
    for networks, sandbox in joined:
        for fd in (sandbox.netns_fd, *sandbox.reservations):
            os.close(fd)
        if networks._ground is not None:
            await networks.leave(sandbox.attachment)


class Echo:
    """A server that tells each client who it looks like: `PEER-ADDRESS:WHAT-IT-SAID`."""

    def __init__(self, bound):
        self._socket = bound
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self):
        # Wakes a thread that waits in accept(2) or recvfrom(2).
        self._stop()
        self._thread.join()
        self._socket.close()

    def _stop(self):
        # Linux wakes the reader of an unconnected datagram socket, too, and says ENOTCONN.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        if self._socket.type == socket.SOCK_DGRAM:
            self._serve_datagrams()
        else:
            self._serve_connections()

    def _serve_datagrams(self):
        while True:
            data, peer = self._socket.recvfrom(65536)
            if not peer:
                return
            self._socket.sendto(f"{peer[0]}:".encode() + data, peer)

    def _serve_connections(self):
        while True:
            try:
                connection, peer = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(f"{peer[0]}:".encode() + connection.recv(65536))


@pytest.fixture
def serve():
    """`serve(netns_fd, port, kind)` answers on all IPv4 addresses of a namespace until the test ends."""
    servers = []

    def start(netns_fd, port=80, kind=socket.SOCK_STREAM):
        def bind():
            bound = socket.socket(socket.AF_INET, kind)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("0.0.0.0", port))
            if kind == socket.SOCK_STREAM:
                bound.listen()
            return bound

        servers.append(Echo(elsewhere(netns_fd, bind)))

    yield start
    for server in servers:
        server.close()


@contextmanager
def connected(netns_fd, to, port, kind=socket.SOCK_STREAM, seconds=SECONDS, source=None):
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    client = elsewhere(netns_fd, lambda: socket.socket(family, kind))
    with client:
        client.settimeout(seconds)
        if source:
            client.bind((source, 0))
        client.connect((to, port))
        yield client


@pytest.fixture
def say():
    """What an echo server answers to `hello`, by namespace, address and port; raises OSError."""

    def talk(netns_fd, to, port, kind, seconds, source):
        with connected(netns_fd, to, port, kind, seconds, source) as client:
            client.send(b"hello")
            return client.recv(65536).decode()

    async def start(netns_fd, to, port, kind=socket.SOCK_STREAM, seconds=SECONDS, source=None):
        return await asyncio.to_thread(talk, netns_fd, to, port, kind, seconds, source)

    return start
