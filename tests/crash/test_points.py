"""Crash points end the process that comes to them, and only when they are told to."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import wherry

SOURCE = Path(wherry.__file__).parent
COME = "from wherry.crashpoints import crash_point as at; at('a'); print('a'); at('b'); at('b'); print('b'); at('c')"


def run(wish):
    environment = {**os.environ, "WHERRY_CRASH_AT": wish}
    if wish is None:
        del environment["WHERRY_CRASH_AT"]
    done = subprocess.run([sys.executable, "-u", "-c", COME], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.split(), done.stderr


def test_without_a_wish_nothing_happens():
    assert run(None) == run("") == run("other") == (0, ["a", "b"], "")


def test_a_named_point_ends_the_process():
    assert run("a") == (-9, [], "")
    assert run("c") == (-9, ["a", "b"], "")


def test_a_point_may_be_passed_some_times_first():
    assert run("b:2") == (-9, ["a"], "")
    assert run("b:3") == (0, ["a", "b"], "")


def test_the_wish_may_be_read_from_a_file(tmp_path):
    wish = tmp_path / "wish"
    assert run(f"@{wish}") == (0, ["a", "b"], "")
    wish.write_text("b\n")
    assert run(f"@{wish}") == (-9, ["a"], "")


def test_the_points_can_be_listed(tmp_path):
    (tmp_path / "wish").write_text(f"?{tmp_path}/list")
    assert run(f"@{tmp_path}/wish") == (0, ["a", "b"], "")
    assert (tmp_path / "list").read_text().split() == ["a", "b", "b", "c"]


def test_each_name_stands_in_the_source_once():
    names = Counter(
        name for path in SOURCE.rglob("*.py") for name in re.findall(r'\bcrash_point\("([^"]+)"\)', path.read_text())
    )
    assert len(names) >= 60
    assert [name for name, count in names.items() if count > 1] == []
