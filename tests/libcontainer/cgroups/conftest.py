"""Cgroups for one test: all below one parent that goes with it, in whatever version the host has."""

import contextlib
import itertools
import os
import signal
from pathlib import Path

import pytest

from wherry.libcontainer import cgroups
from wherry.libcontainer.cgroups import v2
from wherry.linux import cgroup as linux_cgroup

_numbers = itertools.count()


@pytest.fixture
def parent():
    """A path that no tree has yet, removed from all of them afterwards; it must be empty by then."""
    name = f"wherry-test-{os.getpid()}-{next(_numbers)}"
    yield name
    for tree in linux_cgroup.hierarchies():
        top = Path(tree.directory, name)
        for directory in sorted(top.rglob("*/"), key=lambda path: -len(path.parts)):
            directory.rmdir()
        if top.exists():
            top.rmdir()


@pytest.fixture
def make(parent):
    """Makes cgroups below the parent; they are closed afterwards, and whatever is in them is killed."""
    with contextlib.ExitStack() as undo:

        def make(name="one"):
            made = cgroups.create(f"/{parent}/{name}", name)
            undo.callback(_end, made)
            return made

        yield make


@pytest.fixture
def make_v2(parent):
    """Makes cgroups in the v2 tree, which a v1 host has beside the others (freezer, devices and killing work there)."""
    trees = [tree for tree in linux_cgroup.hierarchies() if tree.version == 2]
    if not trees:
        pytest.skip("no cgroup v2 tree is mounted")
    with contextlib.ExitStack() as undo:

        def make(name="one"):
            made = v2.create(trees[0].directory, f"{parent}/{name}")
            undo.callback(_end, made)
            return made

        yield make


@pytest.fixture
def run():
    """Forks a child that joins a cgroup and runs a function; ended and reaped afterwards."""
    children = []

    def run(cgroup, act=signal.pause):
        ready_read, ready_write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if cgroup.version == 2:
                    cgroup.add(os.getpid())
                else:
                    cgroup.join_self()
                os.write(ready_write, b"x")
                act()
            finally:
                os._exit(0)
        children.append(child)
        os.close(ready_write)
        os.read(ready_read, 1)
        os.close(ready_read)
        return child

    yield run
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


def _end(cgroup):
    with contextlib.suppress(FileNotFoundError):
        cgroup.kill()
        cgroup.remove()
    cgroup.close()
