"""Real containers from a busybox root file system, made by the native driver."""

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from wherry.drivers.driver import Birth, LogPlan, ProcessGone, Session
from wherry.drivers.native import NativeDriver
from wherry.linux import mount
from wherry.model.ids import new_id
from wherry.oci.runtime import (
    Capabilities,
    Linux,
    Mount,
    Namespace,
    Process,
    Resources,
    Root,
    Spec,
)

CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID")
NAMESPACES = ("pid", "network", "mount", "ipc", "uts")


def _spec(container_id, args, *, terminal=False, namespaces=NAMESPACES, resources=None, env=(), rlimits=(), user=None):
    held = Capabilities(bounding=CAPABILITIES, effective=CAPABILITIES, permitted=CAPABILITIES)
    process = Process(
        cwd="/",
        args=tuple(args),
        env=("PATH=/bin", *env),
        terminal=terminal,
        capabilities=held,
        rlimits=rlimits,
        **({"user": user} if user else {}),
    )
    return Spec(
        oci_version="1.2.1",
        root=Root(path="rootfs"),
        process=process,
        hostname="box",
        mounts=(
            Mount(destination="/proc", type="proc", source="proc", options=("nosuid", "noexec", "nodev")),
            Mount(destination="/dev", type="tmpfs", source="tmpfs", options=("nosuid", "mode=755", "size=64k")),
            Mount(
                destination="/dev/pts", type="devpts", source="devpts", options=("nosuid", "newinstance", "mode=0620")
            ),
        ),
        linux=Linux(
            namespaces=tuple(Namespace(type=kind) for kind in namespaces),
            cgroups_path=f"/wherry-tests/{container_id}",
            resources=resources or Resources(),
        ),
    )


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory):
    root = tmp_path_factory.mktemp("rootfs")
    root.chmod(0o755)
    for name in ("bin", "proc", "dev", "sys", "tmp", "etc"):
        (root / name).mkdir()
    shutil.copy2("/usr/bin/busybox", root / "bin/busybox")
    names = subprocess.run([root / "bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    yield root
    for parent in (*Path("/sys/fs/cgroup").glob("*/wherry-tests"), *Path("/sys/fs/cgroup").glob("wherry-tests")):
        parent.rmdir()


@pytest.fixture
async def driver(tmp_path):
    made = NativeDriver(str(tmp_path / "exec"))
    await made.open()
    yield made
    await end(made)
    await made.close()


async def end(driver):
    """What a test that failed left running."""
    for process in list(driver._processes.values()):
        with contextlib.suppress(ProcessGone):
            await process.signal(signal.SIGKILL)
        await process.wait()
        await driver.forget(process.id)


class Boxes:
    """Makes births and remembers what to clean up."""

    def __init__(self, rootfs: Path, logs: Path) -> None:
        self.rootfs = rootfs
        self.logs = logs

    def birth(self, *args, log="json-file", bytes_max=None, files_max=1, terminal=False, **more):
        container_id = more.pop("id", None) or new_id()
        wishes = {
            name: more.pop(name) for name in ("namespaces", "resources", "env", "rlimits", "user") if name in more
        }
        path = str(self.logs / f"{container_id}.log")
        return Birth(
            id=container_id,
            spec=_spec(container_id, args, terminal=terminal, **wishes),
            rootfs_fd=mount.open_tree(str(self.rootfs)),
            log=LogPlan(driver=log, path=path, bytes_max=bytes_max, files_max=files_max),
            **more,
        )

    def log(self, container_id):
        """All records of a container's log, from the oldest on."""
        files = sorted(self.logs.glob(f"{container_id}.log*"), key=lambda path: path.name, reverse=True)
        lines = b"".join(path.read_bytes() for path in files).splitlines()
        return [msgspec.json.decode(line) for line in lines]

    def text(self, container_id, stream=None):
        return "".join(line["log"] for line in self.log(container_id) if stream in (None, line["stream"]))


@pytest.fixture
def boxes(rootfs, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    return Boxes(rootfs, logs)


class Client:
    """A user's end of a session."""

    def __init__(self, ours: socket.socket) -> None:
        self.socket = ours
        ours.setblocking(False)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self, size: int = 65536) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, size)

    async def receive_until(self, ending: bytes) -> bytes:
        data = b""
        while ending not in data:
            try:
                more = await asyncio.wait_for(self.receive(), 10)
            except TimeoutError:
                more = b""
            assert more, f"the session ended or says no more after {data!r}"
            data += more
        return data

    async def receive_all(self) -> bytes:
        data = b""
        while more := await self.receive():
            data += more
        return data

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def connect():
    """Makes sessions: the client's end, and the Session to give to the driver."""
    clients = []

    def make(**wishes):
        ours, theirs = socket.socketpair()
        client = Client(ours)
        clients.append(client)
        return client, Session(socket=theirs, **wishes)

    yield make
    for client in clients:
        client.close()
