"""A real daemon with its own directories, socket and bridge, driven by the real docker command line."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from docker import DockerClient

BIN = Path(sys.executable).parent
BRIDGE = "wherrytest0"
BRIDGE_ADDRESS = "10.213.7.1/24"
READY_SECONDS = 30


class Daemon:
    """A `wherryd` that tests may kill and start again."""

    def __init__(self, root: Path, *flags: str, bridge: str = BRIDGE) -> None:
        self.root = root
        self.bridge = bridge
        self.socket = root / "wherry.sock"
        self.flags = flags
        self.process: subprocess.Popen[bytes] | None = None
        self.log = root / "daemon.log"
        (root / "daemon.json").write_text("{}")

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        config = self.root / "docker-config"
        config.mkdir(exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
        return {**kept, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(config), "LC_ALL": "C.UTF-8"}

    def start(self) -> None:
        reader, writer = os.pipe()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    BIN / "wherryd", "--debug", "--host", self.host,
                    "--data-root", self.root / "data", "--exec-root", self.root / "exec",
                    "--pidfile", self.root / "wherry.pid", "--config-file", self.root / "daemon.json",
                    "--bridge", self.bridge, "--ready-fd", str(writer), *self.flags,
                ],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=(writer,),
            )  # fmt: skip
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            ready.readline()
        if self.process.poll() is not None or not self.socket.exists():
            raise RuntimeError(f"the daemon did not start:\n{self.log.read_text()[-4000:]}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(READY_SECONDS)
        self.process = None
        return code

    def kill(self) -> None:
        """As a crash would: no chance to clean up."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def run(self, program: str, *arguments: object, check: bool = True, **options: object):
        done = subprocess.run(
            [program, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            timeout=options.pop("timeout", 60),
            text=options.pop("text", True),
            **options,
        )
        if check and done.returncode:
            raise AssertionError(f"{program} {arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def docker(self, *arguments: object, **options: object):
        return self.run(str(shutil.which("docker")), *arguments, **options)

    @contextlib.contextmanager
    def beginning(self, *arguments: object):
        """A docker command under way while the block runs, ended after it."""
        command = [str(shutil.which("docker")), *map(str, arguments)]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            yield process
        finally:
            process.said = process.communicate(timeout=60)

    def wherry(self, *arguments: object, **options: object):
        return self.run(str(BIN / "wherry"), *arguments, **options)

    def out(self, *arguments: object, **options: object) -> str:
        return self.docker(*arguments, **options).stdout.strip()

    def client(self) -> DockerClient:
        return DockerClient(base_url=self.host, timeout=60)


def remove_everything(daemon: Daemon) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while ids := daemon.out("ps", "-aq", "--no-trunc").split():
        # One of `--rm` may just be going by itself: then its removal is "already in progress".
        done = daemon.docker("rm", "-f", "-v", *ids, check=False)
        assert time.monotonic() < deadline, done.stderr
    volumes = daemon.out("volume", "ls", "-q").split()
    if volumes:
        daemon.docker("volume", "rm", "-f", *volumes)


def wait_for_the_end_of_all(daemon: Daemon) -> None:
    """Without daemon and containers nothing of it runs; whoever keeps something for a container that is gone would."""
    deadline = time.monotonic() + READY_SECONDS
    while (left := _processes_of(daemon)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def _processes_of(daemon: Daemon) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"{daemon.root}/exec" in (line := path.read_text().replace("\0", " ")):
                found.append(line)
    return found


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory) -> Path:
    """A busybox image as `docker load` takes it, made by the code that `make run` uses."""
    path = tmp_path_factory.mktemp("busybox") / "rootfs.tar"
    root = path.parent / "root"
    for directory in ("bin", "etc", "tmp", "root", "var", "home"):
        (root / directory).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\n"
                                     "user:x:1000:1000:user:/home:/bin/sh\n")  # fmt: skip
    (root / "etc/group").write_text("root:x:0:\ndaemon:x:1:\nuser:x:1000:\nextra:x:2000:user\n")
    (root / "tmp").chmod(0o1777)
    subprocess.run(["tar", "--numeric-owner", "--owner=0", "--group=0", "-C", root, "-cf", path, "."], check=True)
    return path


@contextlib.contextmanager
def serving(daemon: Daemon, address: str, busybox_tar: Path):
    """A daemon on a bridge of its own, with the image busybox; in the end nothing is left of it."""
    add_bridge(daemon.bridge, address)
    try:
        daemon.start()
        daemon.docker("import", "--change", 'CMD ["sh"]', busybox_tar, "busybox:latest")
        yield daemon
    finally:
        if daemon.process is not None:
            remove_everything(daemon)
            daemon.stop()
            wait_for_the_end_of_all(daemon)
        delete_link(daemon.bridge)


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory, busybox_tar):
    """One daemon for all tests that leave it running; its image is called busybox."""
    with serving(Daemon(tmp_path_factory.mktemp("wherry")), BRIDGE_ADDRESS, busybox_tar) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def another_daemon(tmp_path_factory, busybox_tar):
    """A daemon of a module's own, on its own bridge and with TCP: its address is in `tcp`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    flags = (f"--host=tcp://0.0.0.0:{port}", "--tls=false")
    daemon = Daemon(tmp_path_factory.mktemp("another"), *flags, bridge="wherrytest1")
    daemon.tcp = ("127.0.0.1", port)
    with serving(daemon, "10.213.8.1/24", busybox_tar):
        yield daemon


@pytest.fixture
def daemon(shared_daemon, leaves_no_trace):
    """The shared daemon, emptied of containers and volumes after each test, with the machine as it was before."""
    yield shared_daemon
    if shared_daemon.process is None or shared_daemon.process.poll() is not None:
        shared_daemon.start()  # else a test that fails while it is dead has all others fail
    remove_everything(shared_daemon)


def add_bridge(name: str, address: str) -> None:
    """As dockerd, a bridge of another name is the administrator's to make."""
    delete_link(name)
    for command in (f"link add {name} type bridge", f"address add {address} dev {name}", f"link set {name} up"):
        subprocess.run(["ip", *command.split()], check=True)


def delete_link(name: str) -> None:
    """The bridge and the daemon's table of rules for it, which outlives the daemon as the containers do."""
    subprocess.run(["ip", "link", "delete", name], capture_output=True)
    subprocess.run(["nft", "delete", "table", "inet", f"wherry-{name}"], capture_output=True)
