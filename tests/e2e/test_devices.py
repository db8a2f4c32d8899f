"""Devices by name: what their specifications say is in the container, and what cannot be is refused."""

import json
import os

import pytest


@pytest.fixture(scope="module")
def specifications(another_daemon, tmp_path_factory):
    """The daemon with two directories of specifications."""
    root = tmp_path_factory.mktemp("cdi")
    low, high = root / "low", root / "high"
    low.mkdir()
    high.mkdir()
    flags = another_daemon.flags
    another_daemon.stop()
    another_daemon.flags = (*flags, f"--cdi-spec-dir={low}", f"--cdi-spec-dir={high}")
    another_daemon.start()
    yield another_daemon, low, high
    another_daemon.stop()
    another_daemon.flags = flags
    another_daemon.start()


def write(directory, name, kind, *devices, **edits):
    document = {"cdiVersion": "0.6.0", "kind": kind, "devices": devices, "containerEdits": edits}
    (directory / name).write_text(json.dumps(document))


def run(daemon, script, *flags, check=True):
    flags = ("--rm", "--network", "none", *flags)
    done = daemon.docker("run", *flags, "busybox", "sh", "-c", script, check=check)
    return done.stdout.strip() if check else done.stderr


def test_a_device_brings_variables_nodes_mounts_and_groups(specifications, tmp_path):
    daemon, low, _ = specifications
    (tmp_path / "library").write_text("words")
    fuse = {"path": "/dev/mine", "hostPath": "/dev/fuse", "permissions": "r", "fileMode": 0o644, "gid": 44}
    own = {
        "env": ["OWN=1"],
        "deviceNodes": [fuse],
        "mounts": [{"hostPath": str(tmp_path / "library"), "containerPath": "/lib/of/it", "options": ["ro", "bind"]}],
        "additionalGids": [4711],
    }
    device, other = {"name": "one", "containerEdits": own}, {"name": "two", "containerEdits": {"env": ["TWO=1"]}}
    write(low, "vendor.json", "vendor.com/thing", device, other, env=["COMMON=1"])
    variables = "env | grep -E '^(OWN|TWO|COMMON)' | sort"
    script = f"{variables}; stat -c '%a %g' /dev/mine; cat /lib/of/it; echo; id -G; : < /dev/mine"
    shown = run(daemon, script, "--device", "vendor.com/thing=one").splitlines()
    assert shown[:4] == ["COMMON=1", "OWN=1", "644 44", "words"]
    assert "4711" in shown[4].split()
    both = run(
        daemon, "env | grep -E '^(OWN|TWO)' | sort", *(f"--device=vendor.com/thing={it}" for it in ("one", "two"))
    )
    assert both.split() == ["OWN=1", "TWO=1"]
    assert "Operation not permitted" in run(daemon, ": > /dev/mine", "--device", "vendor.com/thing=one", check=False)


def test_a_device_may_be_given_by_numbers(specifications):
    daemon, low, _ = specifications
    node = {"path": "/dev/numbered", "type": "c", "major": 1, "minor": 5}
    write(low, "numbers.json", "vendor.com/number", {"name": "zero", "containerEdits": {"deviceNodes": [node]}})
    script = "head -c 3 /dev/numbered | od -An -tx1"
    assert run(daemon, script, "--device", "vendor.com/number=zero") == "00 00 00"


def test_a_later_directory_goes_before_an_earlier_and_a_clash_within_one_resolves_nothing(specifications):
    daemon, low, high = specifications
    for directory, word in ((low, "low"), (high, "high")):
        write(directory, "order.json", "vendor.com/order", {"name": "it", "containerEdits": {"env": [f"WHERE={word}"]}})
    assert run(daemon, "echo $WHERE", "--device", "vendor.com/order=it") == "high"
    write(high, "again.json", "vendor.com/order", {"name": "it", "containerEdits": {"env": ["WHERE=again"]}})
    words = run(daemon, "true", "--device", "vendor.com/order=it", check=False)
    assert "CDI device injection failed: unresolvable CDI devices vendor.com/order=it" in words


def test_what_cannot_be_done_is_refused_by_name(specifications):
    daemon, low, _ = specifications
    words = run(daemon, "true", "--device", "vendor.com/nosuch=it", check=False)
    assert "CDI device injection failed: unresolvable CDI devices vendor.com/nosuch=it" in words
    hook = {"hookName": "createContainer", "path": "/bin/true"}
    write(low, "hooks.json", "vendor.com/hooked", {"name": "it", "containerEdits": {"hooks": [hook]}})
    words = run(daemon, "true", "--device", "vendor.com/hooked=it", check=False)
    assert "hooks of CDI specifications are not supported yet" in words
    (low / "wrong.json").write_text('{"kind": 5}')
    words = run(daemon, "true", "--device", "vendor.com/thing=one", check=False)
    assert "wrong.json" in words
    (low / "wrong.json").unlink()


def test_requests_to_other_drivers_are_refused_in_dockerds_words(specifications):
    daemon, *_ = specifications
    words = run(daemon, "true", "--gpus", "all", check=False)
    assert 'could not select device driver "" with capabilities: [[gpu]]' in words


def test_the_directories_are_told(specifications):
    daemon, low, high = specifications
    client = daemon.client()
    assert client.info()["CDISpecDirs"] == [str(low), str(high)]
    client.close()
    assert os.path.isdir(low)
