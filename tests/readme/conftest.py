"""A machine of its own for what is typed word for word: no other process, link, socket or state of this one in it."""

import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).parents[2]
PROMPT = "typed@readme> "
# Fresh places where Wherry's own defaults point, so that nothing has to be replaced in what the README says.
PREPARE = """
for directory in /run /var/lib /var/log; do mount -t tmpfs tmpfs $directory; done
ip link set lo up
cd "$1"
exec bash --noprofile --norc
"""
CLEAN = """
wherry=$1/.venv/bin/wherry
[ -S /run/wherry.sock ] || exit 0
ids=$($wherry ps -aq)
[ -z "$ids" ] || $wherry rm -f $ids >/dev/null
kill $(cat /run/wherry.pid)
tail --pid=$(cat /run/wherry.pid) -f /dev/null
"""
COLUMNS = 400
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A root shell on that machine, typed at like a person does."""

    def __init__(self, directory: Path) -> None:
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory),
            "PS1": PROMPT, "TERM": "dumb", "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        flags = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._shell = pexpect.spawn(
            "unshare", [*flags, "sh", "-c", PREPARE, "sh", str(directory)],
            env=environment, dimensions=(50, COLUMNS), timeout=60, encoding="utf-8",
        )  # fmt: skip
        self._shell.delaybeforesend = None
        self._shell.expect_exact(PROMPT)

    def type(self, line: str, *prompts: str) -> tuple[str, str]:
        """Type a line; what came until the next of the prompts, without the echo, and which prompt that was."""
        self._shell.sendline(line)
        # A shell that was told the terminal's size draws its prompt again: only what follows the echo counts.
        self._shell.expect_exact(f"{line}\r\n")
        which = self._shell.expect_exact([PROMPT, *prompts])
        return ESCAPES.sub("", self._shell.before).replace("\r\n", "\n"), (PROMPT, *prompts)[which]

    @property
    def first_pid(self) -> int:
        """The shell's process, pid 1 of its machine, as it is called on this one."""
        parent = self._shell.pid
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text())

    def close(self) -> None:
        """The machine ends with its first process, and everything on it."""
        self._shell.close(force=True)


@pytest.fixture
def machine(tmp_path, leaves_no_trace):
    """A checkout at its root, of which only what `make run` leaves is there: `.venv`, `scripts`, `src`."""
    for name in (".venv", "scripts", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    with _terminal(tmp_path) as terminal:
        yield terminal


@contextmanager
def _terminal(directory):
    terminal = Terminal(directory)
    try:
        yield terminal
    finally:
        # From beside the shell, in which anything may be going on when a test has failed.
        words = ["nsenter", "--all", "--target", str(terminal.first_pid), "sh", "-c", CLEAN, "sh", str(directory)]
        cleaned = subprocess.run(words, capture_output=True, text=True, timeout=60)
        terminal.close()
        assert cleaned.returncode == 0, cleaned.stderr


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a Markdown file in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def readme():
    """The fenced blocks of the README by language."""
    return lambda language: blocks(ROOT / "README.md", language)


@pytest.fixture
def configuration():
    """The fenced blocks of docs/configuration.md by language."""
    return lambda language: blocks(ROOT / "docs/configuration.md", language)
