"""A real daemon behind a socket, and the library's clients of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wherry
from wherry import aio

ROOT = Path(__file__).parents[2]
BRIDGE = "wherrytest2"


@pytest.fixture(scope="session")
def busybox_tar():
    """The root file system of an image, as an archive."""
    program = ROOT / "scripts/busybox_image.py"
    return subprocess.run([sys.executable, program], capture_output=True, check=True).stdout


@pytest.fixture(scope="session")
def daemon_url(tmp_path_factory, busybox_tar):
    """Where a `wherryd` with the image busybox listens."""
    root = tmp_path_factory.mktemp("daemon")
    (root / "daemon.json").write_text("{}")
    url = f"unix://{root}/wherry.sock"
    reader, writer = os.pipe()
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("wherryd"), "--host", url, "--config-file", root / "daemon.json",
                "--data-root", root / "data", "--exec-root", root / "exec", "--pidfile", root / "pid",
                "--bridge", BRIDGE, "--ready-fd", str(writer),
            ],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=(writer,),
        )  # fmt: skip
    os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        assert ready.readline(), (root / "log").read_text()
    try:
        with wherry.connect(url) as client:
            client.images.import_(busybox_tar, "busybox:latest", changes=['CMD ["sh"]'])
        yield url
    finally:
        process.terminate()
        process.wait(30)
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True)
        subprocess.run(["nft", "delete", "table", "inet", f"wherry-{BRIDGE}"], capture_output=True)


@pytest.fixture
def client(daemon_url, leaves_no_trace):
    """The library's client; what a test leaves is removed."""
    with wherry.connect(daemon_url) as made:
        yield made
        _remove_everything(made)


@pytest.fixture
async def aclient(daemon_url, leaves_no_trace):
    """Its twin for asyncio."""
    async with aio.connect(daemon_url) as made:
        yield made
        with wherry.connect(daemon_url) as other:
            _remove_everything(other)


def _remove_everything(client):
    for container in client.containers.list(all=True):
        client.containers.get(container.id).remove(force=True, volumes=True)
    for volume in client.volumes.list():
        client.volumes.remove(volume.name, force=True)
