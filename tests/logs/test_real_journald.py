"""systemd's own journald takes what we send it: in a mount namespace with a /run of its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

JOURNALD = Path("/lib/systemd/systemd-journald")
INSIDE = r"""
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/log/journal /run/systemd
"$1" >/dev/null 2>&1 &
trap 'kill %1' EXIT
"$2" -c "$3"
journalctl --sync >/dev/null 2>&1 || true
journalctl --no-pager -o json --all -D /run/log/journal CONTAINER_NAME=talker
"""
SEND = """
import asyncio, os, time
from wherry.logs.driver import Entry
from wherry.logs.journald import JournaldSender
from wherry.logs.subject import Subject

async def main():
    subject = Subject(id="a" * 64, name="talker", image_name="bb", labels={"Lb.x": "two"}, options={"labels": "Lb.x"})
    deadline = time.monotonic() + 20
    while not os.path.exists("/run/systemd/journal/socket"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    sender = JournaldSender(subject)
    await sender.open()
    texts = (b"out", b"two\\nlines", b"x" * 700_000)
    streams = ("stdout", "stderr", "stdout")
    await sender.send([Entry(text=t, stream=s, time_ns=time.time_ns()) for t, s in zip(texts, streams)])
    await sender.close()

asyncio.run(main())
"""


@pytest.mark.skipif(not JOURNALD.exists() or not shutil.which("journalctl"), reason="systemd is not installed")
def test_journald_keeps_lines_with_their_fields():
    done = subprocess.run(
        [
            "unshare", "--mount", "--propagation", "private", "bash", "-c", INSIDE,
            "inside", JOURNALD, sys.executable, SEND,
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["MESSAGE"] for entry in found] == ["out", "two\nlines", "x" * 700_000]
    assert [entry["PRIORITY"] for entry in found] == ["6", "3", "6"]
    for entry in found:
        assert entry["CONTAINER_ID"] == "a" * 12
        assert entry["CONTAINER_ID_FULL"] == "a" * 64
        assert entry["IMAGE_NAME"] == "bb"
        assert entry["LB_X"] == "two"
        assert entry["SYSLOG_IDENTIFIER"] == entry["CONTAINER_TAG"] == "a" * 12
    assert [entry["CONTAINER_LOG_ORDINAL"] for entry in found] == ["1", "2", "3"]
