"""Volumes on a real directory, with a real ledger, and a look at what a test left behind."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from wherry.model.volume import Volume
from wherry.records.ledger import Ledger
from wherry.records.shelf import Shelf
from wherry.volumes.local import Local
from wherry.volumes.volumes import Volumes


@pytest.fixture
def root():
    path = Path(tempfile.mkdtemp(prefix="wherry-volumes-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def local(root):
    return Local(root / "volumes")


@pytest.fixture
def ledger(root):
    ledger = Ledger(root / "wherry.db")
    yield ledger
    ledger.close()


@pytest.fixture
def volumes(ledger, local):
    return Volumes(Shelf(ledger, "volumes", Volume), {"local": local}, clock=lambda: 42)


@pytest.fixture
def opened():
    """Descriptors of directories, closed at the end of the test."""
    descriptors = []

    def opened(path):
        descriptors.append(os.open(path, os.O_PATH | os.O_DIRECTORY))
        return descriptors[-1]

    yield opened
    for fd in descriptors:
        os.close(fd)


@pytest.fixture(autouse=True)
def leaves_no_mount():
    yield
    assert "wherry-volumes-" not in Path("/proc/self/mountinfo").read_text()
