"""`wherry doctor` on this host, and on hosts that lack one thing or another."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

WHERRY = Path(sys.executable).with_name("wherry")


def doctor(data_root, *, before=""):
    """The verdicts by name, of a host that `before` has changed in namespaces of its own, and the exit status."""
    command = shlex.join([str(WHERRY), "doctor", "--format", "json", "--data-root", str(data_root)])
    words = ["unshare", "--mount", "--net", "sh", "-c", f"{before or 'true'} && exec {command}"]
    done = subprocess.run(words if before else shlex.split(command), capture_output=True, text=True)
    assert not done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert found["CanRun"] is (done.returncode == 0)
    for check in found["Checks"]:
        is_ok = check["Verdict"] == "ok"
        assert bool(check["Meaning"]) is bool(check["Advice"]) is not is_ok
    return {check["Name"]: check for check in found["Checks"] if check["Verdict"] != "ok"}, done.returncode


def test_containers_can_run_here_and_nothing_is_left(tmp_path, leaves_no_trace):
    _, status = doctor(tmp_path)
    assert status == 0
    assert list(tmp_path.iterdir()) == []


def test_a_data_root_that_is_not_there_is_not_made(tmp_path):
    _, status = doctor(tmp_path / "deep/root")
    assert status == 0
    assert list(tmp_path.iterdir()) == []


def test_people_read_lines(tmp_path):
    done = subprocess.run([WHERRY, "doctor", "--data-root", tmp_path], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["ok", "kernel", "Linux"]
    assert lines[-1].startswith("Containers can run here")


def test_whoever_is_not_root_is_told_so_in_a_sentence(tmp_path):
    program = (
        "import os, sys; from wherry.cli.main import invoke; import wherry.cli.verbs.doctor; "
        "os.setuid(65534); sys.exit(invoke(['doctor']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "needs root: try sudo" in done.stderr


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ("umount -R /sys/fs/cgroup", "control groups"),
        ("mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m", "overlay"),
    ],
    ids=["no control groups", "overlay upon overlay"],
)
def test_what_containers_cannot_do_without_is_missing(tmp_path, before, name):
    data_root = tmp_path / "m" if name == "overlay" else tmp_path
    found, status = doctor(data_root, before=f"cd {tmp_path} && {before}")
    assert status == 1
    assert found[name]["Verdict"] == "missing"


def test_a_root_without_privileges_cannot_run_containers(tmp_path):
    less = ["setpriv", "--bounding-set", "-sys_admin"]
    done = subprocess.run([*less, WHERRY, "doctor", "--format", "json"], capture_output=True, text=True)
    missing = {it["Name"] for it in json.loads(done.stdout)["Checks"] if it["Verdict"] == "missing"}
    assert done.returncode == 1
    assert {"namespace mnt", "namespace net", "capabilities", "overlay", "nftables"} <= missing


def test_a_firewall_that_drops_what_is_forwarded_is_named(tmp_path):
    rules = "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"
    found, status = doctor(tmp_path, before=f"nft {shlex.quote(rules)}")
    assert status == 0
    assert found["other firewalls"]["Verdict"] == "warning"
    assert "iptables -I FORWARD" in found["other firewalls"]["Advice"]


def test_few_open_files_are_warned_of(tmp_path):
    found, status = doctor(tmp_path, before="ulimit -n 1000")
    assert status == 0
    assert found["open files"]["Found"] == "1000, up to 1000"


def test_a_missing_capability_is_told_with_what_it_means(tmp_path):
    less = ["setpriv", "--bounding-set", "-sys_resource"]
    done = subprocess.run([*less, WHERRY, "doctor", "--data-root", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    assert "CAP_SYS_RESOURCE missing limits cannot be raised above the daemon's own (--ulimit)" in words


def test_another_format_is_refused():
    done = subprocess.run([WHERRY, "doctor", "--format", "xml"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, 'unknown format "xml": text or json\n')
