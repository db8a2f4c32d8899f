"""The process that makes network namespaces: it alone enters them, so that no thread of the daemon ever does."""

import contextlib
import os
import socket
from collections.abc import Iterator

import msgspec

from wherry.linux import prctl
from wherry.linux.namespaces import CLONE_NEWNET, setns, unshare
from wherry.linux.netlink import address, link
from wherry.linux.netlink.connection import Connection
from wherry.networks.plan import LINK_GROUP, Answer, Interface, Make, Order, Tune

ORDER_BYTES_MAX = 1 << 16
_LOOPBACK = 1
_LINK_LOCAL = 16


def main(control_fd: int) -> None:
    """Serve orders until the daemon is gone. Each is one packet, answered by one packet in the same order."""
    prctl.set_name(b"wherry-netns")
    control = socket.socket(fileno=control_fd)
    worker = Worker()
    decode = msgspec.json.Decoder(Order).decode
    while True:
        try:
            packet, fds, _, _ = socket.recv_fds(control, ORDER_BYTES_MAX, 1)
        except ConnectionResetError:
            return  # it was killed with answers of ours unread
        if not packet:
            return
        answer, made = worker.obey(decode(packet), fds)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(control, [msgspec.json.encode(answer)], made)
        for fd in (*fds, *made):
            os.close(fd)


class Worker:
    """Makes namespaces whose links' other ends are in the namespace that the process was started in."""

    def __init__(self) -> None:
        """Remember where we come from. Raises OSError."""
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._route = Connection()

    def obey(self, order: Order, fds: list[int]) -> tuple[Answer, list[int]]:
        """Do it; an answer and the descriptors that go with it."""
        try:
            match order:
                case Make():
                    return Answer(), [self._make(order)]
                case Tune():
                    self._tune(fds[0], order.sysctls)
                    return Answer(), []
        except OSError as error:
            return Answer(error=error.strerror or str(error)), []

    def _make(self, plan: Make) -> int:
        with self._elsewhere():
            unshare(CLONE_NEWNET)
            netns = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._furnish(netns, plan)
            except BaseException:
                # The namespace's end takes its links along, and with them their ends in the bridge.
                os.close(netns)
                raise
            return netns

    def _furnish(self, netns: int, plan: Make) -> None:
        with Connection() as route:
            route.transact([link.set_up(_LOOPBACK)])
            for interface in plan.interfaces:
                self._add(netns, route, interface)
        _write_sysctls(plan.sysctls)

    def _add(self, netns: int, route: Connection, interface: Interface) -> None:
        near = link.VethEnd(name=interface.host_name, mtu=interface.mtu, master=interface.bridge, group=LINK_GROUP)
        mac = bytes.fromhex(interface.mac.replace(":", ""))
        far = link.VethEnd(name=interface.name, mtu=interface.mtu, mac=mac, netns_fd=netns)
        # Where br_netfilter is on, a container that calls its own published port gets the frame back by its port.
        port = link.set_port(interface.host_name, hairpin=True, isolated=interface.isolated)
        self._route.transact([link.new_veth(near, far), port])
        _write_sysctls(_without_ipv6(interface.name))
        index = _index(route, interface.name)
        requests = [
            address.new_address(index, socket.inet_aton(interface.address), interface.prefix),
            *(address.new_address(index, socket.inet_aton(further), _LINK_LOCAL) for further in interface.link_local),
            link.set_up(index),
        ]
        if interface.gateway:
            requests.append(address.new_default_route(index, socket.inet_aton(interface.gateway)))
        route.transact(requests)

    def _tune(self, netns: int, sysctls: tuple[tuple[str, str], ...]) -> None:
        with self._elsewhere():
            setns(netns, CLONE_NEWNET)
            _write_sysctls(sysctls)

    @contextlib.contextmanager
    def _elsewhere(self) -> Iterator[None]:
        try:
            yield
        finally:
            setns(self._home, CLONE_NEWNET)


def _index(route: Connection, name: str) -> int:
    found = link.find(route, name)
    if found is None:
        raise FileNotFoundError(f"link {name} is not in its namespace")
    return found.index


def _without_ipv6(name: str) -> tuple[tuple[str, str], ...]:
    # A kernel without IPv6 has nothing to switch off.
    if not os.path.exists(f"/proc/sys/net/ipv6/conf/{name}"):
        return ()
    return ((f"net/ipv6/conf/{name}/disable_ipv6", "1"), (f"net/ipv6/conf/{name}/accept_ra", "0"))


def _write_sysctls(sysctls: tuple[tuple[str, str], ...]) -> None:
    for key, value in sysctls:
        # The names of interfaces may hold dots, so a key that has a slash is taken as a path, as sysctl(8) does.
        path = key if "/" in key else key.replace(".", "/")
        if not path.startswith("net/") or ".." in path.split("/"):
            raise OSError(f'sysctl "{key}" is not a network parameter')
        _write_sysctl(path, value)


def _write_sysctl(path: str, value: str) -> None:
    try:
        fd = os.open(f"/proc/sys/{path}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise OSError(error.errno, f"write {value!r} to sysctl {path}: {error.strerror}") from None
