"""Machines are switched on when the first test begins, and are asked last: most tests leave a processor to them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

AHEAD = Path(__file__).parent / "ahead.py"
REPOSITORY = Path(__file__).parents[2]
SKIP = 77
TIMEOUT_SECONDS = 540


class Machines:
    """What runs in them, `commands` by test, and what came of it."""

    def __init__(self, commands):
        self._results = {}
        self._runner = subprocess.Popen(
            [sys.executable, AHEAD], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._runner.stdin.write(json.dumps([TIMEOUT_SECONDS, commands]) + "\n")
        self._runner.stdin.flush()

    def result(self, test):
        """What became of a test's command, as subprocess says it."""
        while test not in self._results:
            name, *result = json.loads(self._runner.stdout.readline())
            self._results[name] = subprocess.CompletedProcess(name, *result)
        return self._results[test]

    def close(self):
        self._runner.communicate()


MACHINES = pytest.StashKey[Machines]()


def suite(*arguments):
    """A test about what pytest says of these tests in a machine, as `done`.

    Under emulation each of them, with a daemon above all, takes a while.
    """
    words = ("-m", "pytest", "-q", "-m", "not guest and not peer", f"--timeout={TIMEOUT_SECONDS}")

    def decorate(function):
        function = pytest.mark.timeout(TIMEOUT_SECONDS + 60)(function)
        return pytest.mark.guest(sys.executable, *words, *arguments)(function)

    return decorate


def command_of(item):
    """What the marker of a test says that runs in a machine, nothing for others."""
    marker = item.get_closest_marker("guest")
    return list(marker.args) if marker else []


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: bool(command_of(item)))


def pytest_collection_finish(session):
    commands = {item.nodeid: command for item in session.items if (command := command_of(item))}
    if commands and not session.config.option.collectonly:
        session.config.stash[MACHINES] = Machines(commands)


def pytest_unconfigure(config):
    if MACHINES in config.stash:
        config.stash[MACHINES].close()


@pytest.fixture
def done(request):
    """The end of the command that stands in the test's marker; skips where there can be no machine."""
    result = request.config.stash[MACHINES].result(request.node.nodeid)
    if result.returncode == SKIP:
        pytest.skip(result.stderr.strip())
    return result
