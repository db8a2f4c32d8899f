"""The units for systemd say what keeps containers alive and the socket private."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNITS / name)
    return parser


def test_only_the_daemon_is_killed_and_its_readiness_awaited():
    service = unit("wherry.service")["Service"]
    assert (service["KillMode"], service["Type"], service["Delegate"]) == ("process", "notify", "yes")
    assert service["ExecStart"].endswith("wherryd -H fd://")


def test_the_socket_is_for_root_and_one_group():
    listening = unit("wherry.socket")["Socket"]
    assert (listening["ListenStream"], listening["SocketMode"]) == ("/run/wherry.sock", "0660")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_itself_finds_no_fault(tmp_path):
    # The program need not be installed here for its unit to be right.
    for name in ("wherry.service", "wherry.socket"):
        (tmp_path / name).write_text((UNITS / name).read_text().replace("/usr/bin/wherryd", "/bin/true"))
    told = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "wherry.service")], capture_output=True, text=True, check=False
    )
    assert "wherry" not in told.stderr
