"""Two engines side by side: each with its own directories, socket and bridge, with one image called busybox."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine; `cli` is the docker command line for both."""

    name: str
    socket: Path
    pid: int

    def docker(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run the docker command line against it; raises when it fails."""
        return subprocess.run(
            [docker_cli(), *arguments], env=self.environment(), capture_output=True, check=True, timeout=300
        )

    def environment(self) -> dict[str, str]:
        """For programs that read DOCKER_HOST."""
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}


def docker_cli() -> str:
    """The docker command line."""
    found = shutil.which("docker")
    if found is None:
        sys.exit("bench: no docker command line here; install docker.io or docker-cli")
    return found


@contextmanager
def wherry() -> Iterator[Engine]:
    """Wherry from this environment."""
    program = str(Path(sys.executable).with_name("wherryd"))
    with _engine("wherry", program, "wherrybench0", "10.213.8.1/24", []) as engine:
        yield engine


@contextmanager
def dockerd(program: str) -> Iterator[Engine]:
    """The real one. Its rules for iptables are its own; the bridge is removed afterwards."""
    with _engine("dockerd", program, "dockerbench0", "10.213.9.1/24", []) as engine:
        yield engine


@contextmanager
def _engine(name: str, program: str, bridge: str, address: str, flags: list[str]) -> Iterator[Engine]:
    root = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
    socket = root / "engine.sock"
    _add_bridge(bridge, address)
    process = subprocess.Popen(
        [
            program, "--host", f"unix://{socket}", "--data-root", str(root / "data"), "--exec-root", str(root / "exec"),
            "--pidfile", str(root / "pid"), "--config-file", str(_empty_config(root)), "--bridge", bridge, *flags,
        ],
        stdout=subprocess.DEVNULL, stderr=(root / "log").open("wb"), start_new_session=True,
    )  # fmt: skip
    try:
        engine = Engine(name, socket, process.pid)
        _wait_until_it_answers(engine, process, root / "log")
        _import_busybox(engine, root)
        yield engine
    finally:
        process.terminate()
        process.wait(READY_SECONDS)
        subprocess.run(["ip", "link", "delete", bridge], capture_output=True)
        shutil.rmtree(root, ignore_errors=True)


def _add_bridge(bridge: str, address: str) -> None:
    subprocess.run(["ip", "link", "delete", bridge], capture_output=True)
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", address, "dev", bridge], check=True)
    subprocess.run(["ip", "link", "set", bridge, "up"], check=True)


def _empty_config(root: Path) -> Path:
    path = root / "daemon.json"
    path.write_text("{}")
    return path


def _wait_until_it_answers(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"bench: {engine.name} ended:\n{log.read_text(errors='replace')[-2000:]}")
        try:
            engine.docker("version")
        except subprocess.CalledProcessError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"bench: {engine.name} does not answer")


def _import_busybox(engine: Engine, root: Path) -> None:
    tree = root / "busybox"
    (tree / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is needed"
    shutil.copy(busybox, tree / "bin/busybox")
    for applet in ("sh", "true", "sleep", "cat", "echo", "seq"):
        (tree / "bin" / applet).symlink_to("busybox")
    archive = root / "busybox.tar"
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    engine.docker("import", str(archive), "busybox:latest")
