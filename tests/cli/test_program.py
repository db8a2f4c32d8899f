"""The program as a process: help, errors, what it imports, how it starts a daemon."""

import os
import subprocess
import sys

import pytest

from wherry.cli.catalog import ALIASES, GROUPS, UNLISTED, VERBS, find
from wherry.cli.flags import Verb


def run(*words, **variables):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "80", **variables}
    return subprocess.run(
        [sys.executable, "-m", "wherry", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_verb_loads_and_has_letters_of_its_own(name):
    module, attribute, summary = VERBS[name]
    verb = getattr(__import__(f"wherry.cli.verbs.{module}", fromlist=[attribute]), attribute)
    assert isinstance(verb, Verb)
    assert summary
    names = [flag.name for flag in verb.flags]
    letters = [flag.short for flag in verb.flags if flag.short]
    assert len(names) == len(set(names))
    assert len(letters) == len(set(letters))
    assert all(flag.help for flag in verb.flags)


def test_aliases_lead_to_verbs():
    assert set(ALIASES.values()) <= set(VERBS)
    assert set(VERBS) | set(ALIASES) >= UNLISTED
    assert {words.partition(" ")[0] for words in ALIASES} == set(GROUPS)
    assert find(["container", "ls", "-a"]) == ("ps", "container ls", 2)
    assert find(["ps", "container"]) == ("ps", "ps", 1)
    assert find(["container", "nosuch"]) == ("", "container", 1)


def test_help_of_program_group_and_verb():
    for words in ([], ["--help"], ["help"]):
        done = run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Common Commands:\n  run         " in done.stdout
    assert "  ls          List containers\n" in run("container", "--help").stdout
    done = run("container", "ls", "--help")
    assert done.stdout.startswith(
        "Usage:  wherry container ls [OPTIONS]\n\nList containers\n\nAliases:\n  wherry container ls,"
    )
    assert "  -a, --all             Show stopped containers too\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["nosuch"], 1, "wherry: unknown command: wherry nosuch\n\nRun 'wherry --help' for more information\n"),
        (["container", "x"], 1, "wherry: unknown command: wherry container x\n\nUsage:  wherry container\n\nRun"),
        (["ps", "--x"], 125, "unknown flag: --x\n\nUsage:  wherry ps [OPTIONS]\n\nRun 'wherry ps --help' for more"),
        (["--x"], 125, "unknown flag: --x\n\nUsage:  wherry [OPTIONS] COMMAND [ARG...]\n\nRun 'wherry --help'"),
        (["run"], 1, "wherry: 'wherry run' requires at least 1 argument\n"),
        (["-l", "x", "ps"], 1, "Unable to parse logging level: x\n"),
        (["-c", "x", "ps"], 1, 'context "x" not found'),
        (["-H", "unix:///nosuch", "ps"], 1, "Cannot connect to the Wherry daemon at unix:///nosuch. Is the wherry"),
        (["-H", "unix:///nosuch", "run", "x"], 125, "wherry: Cannot connect to the Wherry daemon at unix:///nosuch."),
        (["-H", "a", "-H", "b", "ps"], 1, "specify only one -H"),
        (["help", "nosuch"], 1, "unknown help topic: nosuch"),
    ],
)
def test_what_goes_wrong_before_a_daemon_is_asked(words, status, text):
    done = run(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(text)


def test_listing_containers_imports_nothing_slow():
    program = (
        "import sys; from wherry.cli.main import invoke; invoke(['-H', 'unix:///nosuch', 'ps']); "
        "print(*{'typing', 're', 'json', 'enum', 'socket', 'dataclasses', 'argparse', 'asyncio', 'collections', "
        "'contextlib', 'functools', 'msgspec', 'subprocess', 'wherry.gotemplate'} & set(sys.modules))"
    )
    # -S: some distributions' site hooks import half the library by themselves.
    path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert done.stdout.strip() == ""


DAEMON = """#!{python}
import os, socket, sys
assert sys.argv[1] == "--ready-fd", sys.argv
path = {socket!r}
if {fails}:
    sys.exit("wherryd: no luck today")
if os.fork():
    os._exit(0)
listening = socket.socket(socket.AF_UNIX)
listening.bind(path)
listening.listen()
with open({socket!r} + ".started", "a") as log:
    log.write("started\\n")
os.write(int(sys.argv[2]), b"\\n")
os.close(int(sys.argv[2]))
taken = [listening.accept()[0] for _ in range(2)]  # the starter's question, and the verb's own connection
taken[-1].recv(1)
"""


@pytest.fixture
def starting(tmp_path, monkeypatch):
    """Starts what stands for a daemon: a program that listens, and ends with its second connection."""
    from wherry.cli import daemon
    from wherry.client.address import parse
    from wherry.client.client import Client

    monkeypatch.setattr(daemon, "LOG", str(tmp_path / "log"))
    monkeypatch.setattr(daemon, "LOCK", str(tmp_path / "lock"))
    path = str(tmp_path / "s")

    def start(*, fails):
        program = tmp_path / "wherryd"
        program.write_text(DAEMON.format(python=sys.executable, socket=path, fails=fails))
        program.chmod(0o755)
        client = Client(parse(f"unix://{path}"))
        daemon.start(client, str(program))
        return client

    return start


def test_a_daemon_is_started_and_waited_for(starting, tmp_path):
    client = starting(fails=False)
    client.connect()
    client.close()
    assert (tmp_path / "s.started").read_text() == "started\n"


def test_a_daemon_that_does_not_come_up_is_quoted(starting):
    from wherry.cli.errors import CommandError

    with pytest.raises(CommandError, match="wherryd: no luck today"):
        starting(fails=True)
