"""Two engines side by side: each with its own directories, socket and bridge, with one image called busybox."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 60
APPLETS = ("sh", "true", "sleep", "cat", "echo")


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine; `docker` drives both. `command` is its own command line, `inputs` is for files of both."""

    name: str
    socket: Path
    pid: int
    command: str
    inputs: Path

    def docker(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run the docker command line against it; raises when it fails."""
        return subprocess.run(
            [docker_cli(), *arguments], env=self.environment(), capture_output=True, check=True, timeout=300
        )

    def said(self, *arguments: str) -> str:
        """What the docker command line prints, without the last newline."""
        return self.docker(*arguments).stdout.decode().rstrip("\n")

    def environment(self) -> dict[str, str]:
        """For programs that read DOCKER_HOST."""
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}

    def remove_all(self) -> None:
        """Remove every container."""
        ids = self.said("ps", "-aq").split()
        if ids:
            self.docker("rm", "-f", *ids)


def docker_cli() -> str:
    """The docker command line."""
    found = shutil.which("docker")
    if found is None:
        sys.exit("bench: no docker command line here; install docker.io or docker-cli")
    return found


@contextmanager
def wherry(directory: Path) -> Iterator[Engine]:
    """Wherry from this environment."""
    programs = Path(sys.executable).parent
    command = str(programs / "wherry")
    with _engine(directory, "wherry", str(programs / "wherryd"), "10.213.8.1/24", command) as engine:
        yield engine


@contextmanager
def dockerd(directory: Path, program: str) -> Iterator[Engine]:
    """The real one."""
    with _engine(directory, "dockerd", program, "10.213.9.1/24", docker_cli()) as engine:
        yield engine


@contextmanager
def _engine(directory: Path, name: str, program: str, address: str, command: str) -> Iterator[Engine]:
    root = directory / name
    root.mkdir()
    socket = root / "engine.sock"
    bridge = f"{name}0"
    _add_bridge(bridge, address)
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program, "--host", f"unix://{socket}", "--data-root", str(root / "data"),
                "--exec-root", str(root / "exec"), "--pidfile", str(root / "pid"),
                "--config-file", str(_empty_config(root)), "--bridge", bridge,
            ],
            stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_it_answers(name, process, socket, root / "log")
        # A program that makes a place of its own for its daemon has another pid; the file has the daemon's.
        pid = int((root / "pid").read_text())
        engine = Engine(name, socket, pid, command, directory)
        _import_busybox(engine, root)
        yield engine
    finally:
        process.terminate()
        process.wait(READY_SECONDS)


def _add_bridge(bridge: str, address: str) -> None:
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", address, "dev", bridge], check=True)
    subprocess.run(["ip", "link", "set", bridge, "up"], check=True)


def _empty_config(root: Path) -> Path:
    path = root / "daemon.json"
    path.write_text("{}")
    return path


def _wait_until_it_answers(name: str, process: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"bench: {name} ended:\n{log.read_text(errors='replace')[-2000:]}")
        tried = subprocess.run([docker_cli(), "-H", f"unix://{socket}", "version"], capture_output=True)
        if tried.returncode == 0:
            return
        time.sleep(0.1)
    sys.exit(f"bench: {name} does not answer")


def _import_busybox(engine: Engine, root: Path) -> None:
    tree = root / "busybox"
    (tree / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is needed"
    shutil.copy(busybox, tree / "bin/busybox")
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    archive = root / "busybox.tar"
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    engine.docker("import", str(archive), "busybox:latest")
