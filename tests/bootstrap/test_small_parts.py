"""Readiness and the daemon's log."""

import json
import logging
import os
import re
import socket

import pytest

from wherry.bootstrap.logs import set_up
from wherry.bootstrap.readiness import announce_ready


def test_readiness_is_told_by_descriptor_and_to_systemd(tmp_path):
    reading, writing = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, os.fdopen(reading, "rb") as pipe:
        systemd.bind(str(tmp_path / "notify"))
        announce_ready(writing, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert pipe.read() == b"ready\n"
        assert systemd.recv(100) == b"READY=1"
    announce_ready(None, {"NOTIFY_SOCKET": str(tmp_path / "nosuch")})


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield root
    root.handlers[:], level = before
    root.setLevel(level)


def test_the_log_is_text_as_logrus_writes_it(capsys, root_logger):
    set_up("info", "text")
    logging.getLogger("x").info('said "so"')
    logging.getLogger("x").warning("plain")
    logging.getLogger("x").debug("not shown")
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r'time="\d{4}-\d\d-\d\dT[\d:.]+Z" level=info msg="said \\"so\\""', first)
    assert second.endswith(" level=warning msg=plain")


def test_the_log_is_json_when_asked_and_holds_errors_on_one_line(capsys, root_logger):
    set_up("debug", "json")
    try:
        raise ValueError("deep\ntrouble")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["level"], told["msg"], told["error"]) == ("error", "failed", "ValueError: deep\ntrouble")
    assert "test_small_parts" in told["stack"]
