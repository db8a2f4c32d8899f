"""Each example of docs/python.md does what it says, and is typed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)
EXAMPLES = BLOCK.findall((ROOT / "docs/python.md").read_text())
PROGRAMS = [text for text in EXAMPLES if not text.startswith("# test_")]
TESTS = [text for text in EXAMPLES if text.startswith("# test_")]

TYPED = """
import asyncio
import wherry
from wherry import aio
from wherry.python.records.container import ContainerInfo

def use(client: wherry.Client) -> int:
    with client.run("busybox", ["true"], ports={80: 0, "53/udp": [1, 2]}, memory="1m", pull="never") as container:
        info: ContainerInfo = container.inspect()
        chunk: wherry.Chunk
        for chunk in container.follow():
            name: str = chunk.stream
        return info.state.exit_code

async def use_async(client: aio.Client) -> bytes:
    async with await client.run("busybox", env={"A": "1"}) as container:
        return (await container.exec("true", timeout=1.5)).stdout

with wherry.Engine.local(keep=False) as engine:
    use(engine)
"""
WRONG = """
import wherry

client = wherry.connect()
client.run("busybox", memroy="1m")
client.run("busybox", memory=[1])
client.containers.get("x").inspect().state.exit_cod
client.containers.list() + 1
"""


@pytest.mark.parametrize("example", PROGRAMS, ids=lambda text: text.splitlines()[-1].strip()[:40])
def test_an_example_prints_what_stands_beside_it(example, daemon_url, busybox_tar, client, tmp_path):
    (tmp_path / "busybox.tar").write_bytes(busybox_tar)
    environment = {**os.environ, "WHERRY_HOST": daemon_url}
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = [line for line in done.stdout.splitlines() if line]
    expected = PRINTED.findall(example)
    assert len(said) == len(expected), done.stdout
    for line, pattern in zip(said, expected, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), line), line


def test_the_tests_that_are_shown_pass(pytester, daemon_url, busybox_tar, client, monkeypatch):
    monkeypatch.setenv("WHERRY_HOST", daemon_url)
    (pytester.path / "busybox.tar").write_bytes(busybox_tar)
    for number, text in enumerate(TESTS):
        (pytester.path / f"test_{number}.py").write_text(text)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_readmes_example_works(daemon_url, client):
    (example,) = BLOCK.findall((ROOT / "README.md").read_text())
    environment = {**os.environ, "WHERRY_HOST": daemon_url}
    done = subprocess.run([sys.executable, "-c", example], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, done.stdout[:6]) == (0, "", "hello\n")


def check_types(text, directory):
    (directory / "program.py").write_text(text)
    mypy = Path(sys.executable).with_name("mypy")
    cache = f"--cache-dir={ROOT / '.mypy_cache'}"
    done = subprocess.run([mypy, "--strict", cache, "program.py"], cwd=directory, capture_output=True, text=True)
    return [line.partition(" error: ")[2] for line in done.stdout.splitlines() if " error: " in line]


@pytest.mark.timeout(300)
def test_a_program_that_uses_it_is_checked_by_mypy(tmp_path):
    assert check_types(TYPED, tmp_path) == []
    wrong = check_types(WRONG, tmp_path)
    assert [message.rpartition("[")[2] for message in wrong] == ["call-arg]", "arg-type]", "attr-defined]", "operator]"]
