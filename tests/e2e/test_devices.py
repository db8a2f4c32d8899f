"""Devices by name: what their specifications say is in the container, and what cannot be is refused."""

import json
import os
import sys
import time

import pytest
from docker import DockerClient
from docker.errors import APIError
from docker.types import DeviceRequest


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
    edits = {"hooks": [{"hookName": "createLunch", "path": "/bin/true"}]}
    write(low, "hooks.json", "vendor.com/hooked", {"name": "it", "containerEdits": edits})
    words = run(daemon, "true", "--device", "vendor.com/hooked=it", check=False)
    assert 'CDI device injection failed: invalid hook name "createLunch"' in words
    write(low, "rdt.json", "vendor.com/rdt", {"name": "it", "containerEdits": {"intelRdt": {"closID": "gold"}}})
    words = run(daemon, "true", "--device", "vendor.com/rdt=it", check=False)
    assert "intelRdt of CDI specifications is not supported yet" in words
    (low / "wrong.json").write_text('{"kind": 5}')
    words = run(daemon, "true", "--device", "vendor.com/wrong=one", check=False)
    assert "unresolvable CDI devices vendor.com/wrong=one" in words
    assert f"spec file {low}/wrong.json: Expected `str`, got `int`" in daemon.log.read_text()
    (low / "wrong.json").unlink()


def hook(name, script, *arguments, **more):
    """A hook as a program of the host's."""
    return {"hookName": name, "path": str(script), "args": [script.name, *arguments], **more}


def program(directory, name, text):
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


FIND_ROOT = r"""
bundle=$(sed 's/.*"bundle":"\([^"]*\)".*/\1/')
root=$(sed 's/.*"root":{"path":"\([^"]*\)".*/\1/' "$bundle/config.json")
"""


@pytest.fixture
def hooked(specifications, tmp_path):
    """A device with hooks: one changes the root file system, the others write down that and how they were called."""
    daemon, low, _ = specifications
    link = program(tmp_path, "link.sh", f'{FIND_ROOT} mkdir -p "$root/opt" && ln -s "$1" "$root/opt/$NAME"')
    note = program(tmp_path, "note.sh", f'state=$(cat); echo "$state $1" >> {tmp_path}/notes')
    hooks = [hook("createContainer", link, "/of/the/hook", env=["NAME=linked", "PATH=/usr/bin:/bin"])]
    hooks += [hook(name, note, name) for name in ("createRuntime", "poststart", "poststop")]
    write(low, "linked.json", "vendor.com/linked", {"name": "it", "containerEdits": {"hooks": hooks}})

    def notes():
        """Which hooks ran so far, with the states they were told."""
        text = (tmp_path / "notes").read_text() if (tmp_path / "notes").exists() else ""
        lines = text.rpartition("\n")[0].splitlines()  # one may be on its way
        return [(word, json.loads(state)) for state, _, word in (line.rpartition(" ") for line in lines)]

    return daemon, notes


def wait_for(words, notes):
    """The hooks of an end run after the end was told."""
    deadline = time.monotonic() + 20
    while [word for word, _ in notes()] != words and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [word for word, _ in notes()] == words


ONE_RUN = ["createRuntime", "poststart", "poststop"]


def test_hooks_change_the_root_file_system_and_learn_what_becomes_of_the_container(hooked):
    daemon, notes = hooked
    flags = ("--annotation", "of=user", "--device", "vendor.com/linked=it")
    assert run(daemon, "readlink /opt/linked", *flags) == "/of/the/hook"
    wait_for(ONE_RUN, notes)
    (_, created), (_, started), (_, stopped) = notes()
    assert [each["status"] for each in (created, started, stopped)] == ["creating", "running", "stopped"]
    assert created["pid"] == started["pid"] > 1
    assert len({each["id"] for each in (created, started, stopped)}) == 1
    assert stopped["annotations"] == {"of": "user"}
    deadline = time.monotonic() + 20
    while os.path.exists(stopped["bundle"]) and time.monotonic() < deadline:
        time.sleep(0.05)  # it goes when its last hook has ended
    assert not os.path.exists(stopped["bundle"])


def test_hooks_run_at_each_start_and_of_a_killed_daemons_containers_at_their_end(hooked):
    daemon, notes = hooked
    script = "rm /opt/linked; exec sleep 1000"
    flags = ("--network", "none", "--device", "vendor.com/linked=it")
    name = daemon.out("run", "-d", *flags, "busybox", "sh", "-c", script)
    daemon.docker("exec", name, "sh", "-c", "while test -L /opt/linked; do sleep 0.1; done")
    daemon.docker("restart", "-t", "0", name)
    daemon.docker("exec", name, "sh", "-c", "while test -L /opt/linked; do sleep 0.1; done")
    wait_for([*ONE_RUN, *ONE_RUN[:2]], notes)
    daemon.kill()
    daemon.start()
    assert len(notes()) == 5
    daemon.docker("stop", "-t", "0", name)
    wait_for(2 * ONE_RUN, notes)
    daemon.docker("start", name)
    daemon.kill()
    os.kill(notes()[-1][1]["pid"], 9)
    daemon.start()
    wait_for(3 * ONE_RUN, notes)
    daemon.docker("rm", "-f", name)
    assert len(notes()) == 9


def test_a_restart_policy_runs_them_again(hooked):
    daemon, notes = hooked
    flags = ("--restart", "on-failure:2", "--network", "none", "--device", "vendor.com/linked=it")
    name = daemon.out("run", "-d", *flags, "busybox", "sh", "-c", "rm /opt/linked; exit 1")
    wait_for(3 * ONE_RUN, notes)
    daemon.docker("rm", "-f", name)


def test_a_hook_that_fails_fails_the_start_and_leaves_nothing(specifications, tmp_path):
    daemon, low, _ = specifications
    failing = program(tmp_path, "fail.sh", "echo out; echo oops >&2; exit 3")
    slow = program(tmp_path, "slow.sh", "exec sleep 100")
    end = program(tmp_path, "end.sh", f"touch {tmp_path}/ended")
    late = [hook("createContainer", slow, timeout=1)]
    missing = [hook("createContainer", tmp_path / "nosuch")]
    devices = {"bad": [hook("createContainer", failing), hook("poststop", end)], "late": late, "missing": missing}
    edits = ({"name": name, "containerEdits": {"hooks": hooks}} for name, hooks in devices.items())
    write(low, "failing.json", "vendor.com/failing", *edits)

    def fails(name):
        flags = ("--network", "none", "--name", name, "--device", f"vendor.com/failing={name}")
        done = daemon.docker("run", *flags, "busybox", "true", check=False)
        state = json.loads(daemon.out("inspect", name, "--format", "{{json .State}}"))
        daemon.docker("rm", name)
        return done.returncode, done.stderr, state

    code, words, state = fails("bad")
    said = "error running createContainer hook #0: exit status 3, stdout: out\n, stderr: oops"
    assert (code, state["Status"], state["ExitCode"]) == (125, "created", 128)
    assert said in words
    assert state["Error"].endswith(said)
    assert (tmp_path / "ended").exists()
    code, words, state = fails("late")
    assert (code, state["ExitCode"]) == (125, 128)
    assert "createContainer hook #0: hook ran past specified timeout of 1.0s" in words
    code, words, state = fails("missing")
    assert (code, state["ExitCode"]) == (127, 127)
    assert f"createContainer hook #0: fork/exec {tmp_path}/nosuch: no such file or directory" in words


def test_requests_to_other_drivers_are_refused_in_dockerds_words(specifications):
    daemon, *_ = specifications
    words = run(daemon, "true", "--gpus", "all", check=False)
    assert 'could not select device driver "" with capabilities: [[gpu]]' in words


GPU_HOOK = """#!{python}
import json, os, sys
state = json.load(sys.stdin)
config = json.load(open(os.path.join(state["bundle"], "config.json")))
said = [entry for entry in config["process"]["env"] if entry.startswith("NVIDIA_")]
with open(os.path.join(config["root"]["path"], "gpus"), "w") as file:
    print(*sys.argv[1:], state["pid"] > 0, os.environ["FROM_THE_DAEMON"], *said, file=file)
"""


@pytest.fixture(scope="module")
def gpus(another_daemon, tmp_path_factory):
    """A daemon that finds NVIDIA's hook, which here only tells what it was told."""
    directory = tmp_path_factory.mktemp("nvidia")
    hook = directory / "nvidia-container-runtime-hook"
    hook.write_text(GPU_HOOK.format(python=sys.executable))
    hook.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}:{directory}")
        patch.setenv("FROM_THE_DAEMON", "yes")
        another_daemon.restart()
    yield another_daemon
    another_daemon.restart()


@pytest.mark.parametrize("program", ["docker", "wherry"])
@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("all", ["NVIDIA_VISIBLE_DEVICES=all"]),
        ("2", ["NVIDIA_VISIBLE_DEVICES=0,1"]),
        ("0", ["NVIDIA_VISIBLE_DEVICES=void"]),
        ('"device=3,GPU-a"', ["NVIDIA_VISIBLE_DEVICES=3,GPU-a"]),
        (
            'count=all,driver=nvidia,"capabilities=utility,compute"',
            ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=utility,compute"],
        ),
    ],
)
def test_gpus_come_by_nvidias_hook(gpus, program, flag, told):
    flags = ("--rm", "--network", "none", "--gpus", flag)
    command = gpus.wherry if program == "wherry" else gpus.docker
    shown = command("run", *flags, "busybox", "sh", "-c", "cat /gpus; env | grep NVIDIA_").stdout.split()
    assert shown[:3] == ["prestart", "True", "yes"]
    assert sorted(shown[3:]) == sorted([*told, *told])


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("count=1,device=0", "cannot set both Count and DeviceIDs on device request"),
        ("driver=other", 'could not select device driver "other" with capabilities: [[gpu]]'),
        ("all,capabilities=flying", 'could not select device driver "" with capabilities: [[flying gpu]]'),
    ],
)
def test_gpus_that_cannot_be_had(gpus, flag, words):
    assert words in run(gpus, "true", "--gpus", flag, check=False)


def test_the_directories_and_what_is_in_them_are_told(specifications):
    daemon, low, high = specifications
    write(low, "two.json", "vendor.com/told", {"name": "b", "containerEdits": {}}, {"name": "a", "containerEdits": {}})
    (high / "broken.json").write_text("{broken")
    try:
        told = json.loads(daemon.out("info", "--format", "{{json .}}"))
        assert run(daemon, "echo yes", "--device", "vendor.com/told=a") == "yes"
    finally:
        (high / "broken.json").unlink()
    assert told["CDISpecDirs"] == [str(low), str(high)]
    found = [each["ID"] for each in told["DiscoveredDevices"] if each["Source"] == "cdi"]
    assert found == sorted(found)
    assert [name for name in found if name.startswith("vendor.com/told")] == ["vendor.com/told=a", "vendor.com/told=b"]
    assert [text for text in told["Warnings"] if f"spec file {high}/broken.json: " in text]
    older = DockerClient(base_url=daemon.host, version="1.49")
    assert "DiscoveredDevices" not in older.info()
    older.close()


@pytest.mark.parametrize("more", [{"Count": 1}, {"Options": {"a": "b"}}])
def test_requests_by_name_take_neither_counts_nor_options(specifications, more):
    daemon, *_ = specifications
    client = daemon.client()
    request = {"Driver": "cdi", "DeviceIDs": ["vendor.com/any=it"], **more}
    made = client.containers.create("busybox", "true", network_mode="none", device_requests=[DeviceRequest(**request)])
    with pytest.raises(APIError, match=f"unexpected {next(iter(more)).lower()} in CDI device request") as caught:
        made.start()
    assert caught.value.status_code == 500
    made.remove()
    client.close()
