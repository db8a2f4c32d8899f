"""A daemon that comes back to a thousand containers knows each of them."""

import asyncio
import json
import shutil

import pytest
from msgspec.structs import replace

from wherry.model.container import Container
from wherry.model.ids import new_id
from wherry.records.ledger import Ledger
from wherry.records.shelf import Shelf

COUNT = 1000


@pytest.fixture
def own_daemon(shared_daemon, busybox_tar, tmp_path):
    """A daemon of the test's own without a bridge: what it has recorded goes with its directories."""
    daemon = type(shared_daemon)(tmp_path, "--bridge", "none")
    daemon.start()
    daemon.docker("import", busybox_tar, "busybox:latest")
    yield daemon
    if daemon.process is not None:
        daemon.stop()


def multiply(data_root, name):
    """A thousand records like that of one container, written as the daemon writes them, with all that they have."""

    async def write():
        ledger = Ledger(data_root / "wherry.db")
        shelf = Shelf(ledger, "containers", Container)
        (like,) = (each for each in shelf.values() if each.name == name)
        copies = [replace(like, id=new_id(), name=f"{name}{number}") for number in range(COUNT)]
        for copy in copies:
            for parent in (data_root / "containers", data_root / "snapshots/overlay/active"):
                shutil.copytree(parent / like.id, parent / copy.id, symlinks=True)
        await asyncio.gather(*(shelf.put(copy.id, copy) for copy in copies))
        ledger.close()

    asyncio.run(write())


def test_a_killed_daemon_with_a_thousand_containers_comes_back_and_knows_them(own_daemon):
    own_daemon.docker("run", "--name", "ran", "--network", "none", "busybox", "sh", "-c", "exit 3", check=False)
    own_daemon.stop()
    multiply(own_daemon.root / "data", "ran")
    own_daemon.start()
    own_daemon.kill()
    own_daemon.start()
    lines = [json.loads(line) for line in own_daemon.out("ps", "-a", "--format", "json").splitlines()]
    assert {line["Names"] for line in lines} == {"ran", *(f"ran{number}" for number in range(COUNT))}
    assert all(line["Status"].startswith("Exited (3)") for line in lines)
    own_daemon.docker("start", "ran500")
    assert own_daemon.out("wait", "ran500") == "3"
    own_daemon.docker("rm", "ran500")
    assert len(own_daemon.out("ps", "-aq").splitlines()) == COUNT
