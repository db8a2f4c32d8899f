"""The bench measures pairs beside a real dockerd, keeps what it has found, and leaves the machine as it was."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bench.report import in_order

ROOT = Path(__file__).parents[2]


def bench(*arguments):
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)


def directories_of_benches():
    return sorted(Path(tempfile.gettempdir()).glob("wherry-bench-*"))


def directories_of_control_groups():
    return sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/*") if path.is_dir())


def test_every_pair_has_a_name_and_a_title():
    listed = bench("--list").stdout.splitlines()
    names = [line.split()[0] for line in listed]
    assert len(set(names)) == len(names)
    assert {"run-bridge", "exec", "create", "log-short-lines", "logs", "pipe", "memory-idle", "ps"} <= set(names)


def test_figures_stand_in_the_order_of_the_pairs_whenever_they_were_taken():
    taken = ["inspect", "nothing-of-ours", "commit-small-raw/paused", "commit-small-raw", "commit-small"]
    rows = in_order({name: {"name": name} for name in taken})
    assert list(rows) == ["commit-small", "commit-small-raw", "commit-small-raw/paused", "inspect"]


@pytest.mark.peer
@pytest.mark.usefixtures("leaves_no_trace")
def test_a_pair_is_measured_and_kept_and_nothing_stays(tmp_path):
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    page.write_text("before\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nafter\n")
    groups, places = directories_of_control_groups(), directories_of_benches()
    done = bench("create", "--runs", "2", "--no-pauses", "--json", str(figures), "--page", str(page))
    (row,) = json.loads(figures.read_text())["rows"]
    assert (row["name"], len(row["ours"]), len(row["theirs"])) == ("create", 2, 2)
    assert "`create`" in done.stdout
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- figures: end -->\nafter\n")
    assert "| `create` |" in text
    assert "old" not in text
    assert directories_of_benches() == places
    assert directories_of_control_groups() == groups
