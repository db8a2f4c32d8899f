"""What docs/configuration.md shows is what the daemon takes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHERRYD = Path(sys.executable).with_name("wherryd")


def wherryd(*arguments):
    return subprocess.run([WHERRYD, *map(str, arguments)], capture_output=True, text=True)


def test_the_files_shown_are_valid(configuration, tmp_path):
    shown = configuration("json")
    assert len(shown) == 2
    for text in shown:
        file = tmp_path / "daemon.json"
        file.write_text(text)
        done = wherryd("--config-file", file, "--validate")
        assert (done.returncode, done.stdout) == (0, "configuration OK\n"), done.stderr


def test_the_flags_named_are_served():
    text = (ROOT / "docs/configuration.md").read_text()
    listed = wherryd("--help").stdout
    for flag in re.findall(r"`(?:-\w`, `)?(--[a-z-]+)", text):
        assert f"{flag} " in listed or f"{flag}\n" in listed, flag


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"live-restore": False}, "live-restore"),
        ({"iptables": False}, "iptables"),
        ({"exec-opts": ["native.cgroupdriver=systemd"]}, "native.cgroupdriver=systemd"),
        ({"userns-remap": "default"}, "userns-remap"),
        ({"hosts": ["tcp://127.0.0.1:0"]}, "TCP without TLS"),
        ({"no-such-key": 1}, "no-such-key"),
    ],
)
def test_what_is_not_served_is_refused_by_name(said, name, tmp_path):
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps(said))
    done = wherryd("--config-file", file, "--validate")
    assert done.returncode == 1
    assert name in done.stderr


def test_the_second_daemon_that_is_shown_runs_beside_the_first(configuration, machine):
    machine.type("export PATH=$PWD/.venv/bin:$PATH; wherry version > /dev/null")
    (commands,) = [block for block in configuration("sh") if "wherry1" in block]
    *before, start = commands.splitlines()
    for line in before:
        assert machine.type(line) == ("", "typed@readme> ")
    machine.type(f"mkfifo ready; {start} --ready-fd 7 7> ready > second.log 2>&1 & head -1 ready > /dev/null")
    assert machine.type("wherry -H unix:///run/second.sock network ls -q | wc -l")[0] == "3\n"
    assert machine.type("wherry network ls -q | wc -l")[0] == "3\n"
    machine.type("kill $(cat /run/second.pid); wait")
