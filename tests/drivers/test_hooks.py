"""Hooks by the native driver: where they run, what they are shown, and what is left of them."""

import asyncio
import dataclasses
import json
import os
import time
from pathlib import Path

import msgspec
import pytest

from wherry.drivers.driver import StartFailed
from wherry.drivers.hooks import after_end
from wherry.drivers.native import NativeDriver
from wherry.oci.runtime import Hook, Hooks

FIND_ROOT = r"""state=$(cat)
bundle=$(echo "$state" | sed 's/.*"bundle":"\([^"]*\)".*/\1/')
root=$(sed 's/.*"root":{"path":"\([^"]*\)".*/\1/' "$bundle/config.json")
"""
RECORD = f"""#!/bin/sh
exec > "$OUT" 2>&1
{FIND_ROOT}
echo "$state"
echo "$*"
env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort | paste -sd' '
readlink /proc/self/ns/mnt
ls /proc/self/fd | paste -sd' '
pwd
umask
echo "$root"
ls "$root" | paste -sd' '
ls "$root/proc" | wc -l
"""
MOUNTING = "mount --bind $root $root && mount -t tmpfs none $root/tmp && touch $root/tmp/hidden"
LINKING = f"{FIND_ROOT} export root; ln -sfn /from/a/hook $root/tmp/link && unshare -m sh -c '{MOUNTING}'"
FIELDS = ("state", "arguments", "variables", "mounts", "fds", "directory", "umask", "root", "files", "proc")
POINTS = ("prestart", "create_runtime", "create_container", "poststart", "poststop")


@pytest.fixture
def recorder(tmp_path):
    path = tmp_path / "record.sh"
    path.write_text(RECORD)
    path.chmod(0o755)
    return path


def recording(recorder, name):
    out = f"OUT={recorder.parent / name}"
    return (Hook(path=str(recorder), args=("record", name, "more"), env=(out, "A=b c"), timeout=20),)


def read(recorder, name):
    lines = (recorder.parent / name).read_text().splitlines()
    found = dict(zip(FIELDS, lines, strict=False))
    return found | {"state": json.loads(found["state"])}


def hooked(birth, **hooks):
    spec = msgspec.structs.replace(birth.spec, hooks=Hooks(**hooks), annotations={"k": "v"})
    return dataclasses.replace(birth, spec=spec)


def shell(script, **more):
    return (Hook(path="/bin/sh", args=("sh", "-c", script), env=("PATH=/usr/bin:/bin",), **more),)


def run_directory(tmp_path, birth):
    return tmp_path / "exec/containers" / birth.id


async def test_they_run_at_their_points_and_find_the_root_by_their_bundle(driver, boxes, recorder, tmp_path):
    birth = hooked(boxes.birth("cat", open_stdin=True), **{name: recording(recorder, name) for name in POINTS})
    process = await driver.start(birth)
    bundle = run_directory(tmp_path, birth) / "bundle"
    before, inside, after = (read(recorder, name) for name in ("create_runtime", "create_container", "poststart"))
    for found, name in ((before, "create_runtime"), (inside, "create_container"), (after, "poststart")):
        assert found["state"]["bundle"] == str(bundle)
        assert found["state"]["annotations"] == {"k": "v"}
        assert found["state"]["id"] == birth.id
        assert found["arguments"] == f"{name} more"
        assert found["variables"] == f"A=b c OUT={tmp_path}/{name}"
        assert found["umask"] == "0022"
        assert found["fds"] == "0 1 2 3"  # 3 is what ls reads the directory by
        assert {"bin", "proc"} <= set(found["files"].split())
        assert int(found["proc"]) > 10
    here = os.readlink("/proc/self/ns/mnt")
    assert (before["state"]["status"], before["state"]["pid"]) == ("creating", process.pid)
    assert (before["mounts"], before["directory"]) == (here, str(bundle))
    assert (inside["state"]["status"], inside["state"]["pid"]) == ("creating", 1)
    assert (inside["mounts"], inside["directory"]) == (os.readlink(f"/proc/{process.pid}/ns/mnt"), inside["root"])
    assert (after["state"]["status"], after["state"]["pid"], after["mounts"]) == ("running", process.pid, here)
    assert read(recorder, "prestart")["state"] == before["state"]
    assert not (tmp_path / "poststop").exists()
    await process.signal(9)
    await process.wait()
    await driver.forget(birth.id)
    end = read(recorder, "poststop")
    assert (end["state"]["status"], end["state"]["pid"], end["mounts"]) == ("stopped", 0, here)
    assert not bundle.parent.exists()


async def test_one_within_the_container_is_the_containers_own(driver, boxes):
    script = "cat > /tmp/state"
    starting = (Hook(path="/bin/sh", args=("sh", "-c", script), env=("PATH=/bin",)),)
    birth = hooked(boxes.birth("true"), start_container=starting)
    await (await driver.start(birth)).wait()
    state = boxes.rootfs / "tmp/state"
    assert json.loads(state.read_text())["status"] == "created"
    state.unlink()
    await driver.forget(birth.id)


async def test_what_one_makes_of_the_root_is_there_for_the_program(driver, boxes):
    birth = boxes.birth("sh", "-c", "readlink /tmp/link; ls /tmp")
    birth = hooked(birth, create_container=shell(LINKING))
    await (await driver.start(birth)).wait()
    assert boxes.text(birth.id).split() == ["/from/a/hook", "link"]
    (boxes.rootfs / "tmp/link").unlink()
    await driver.forget(birth.id)


NOT_FOUND = "fork/exec /nosuch: no such file or directory"
LATE = "hook ran past specified timeout of 1.0s"
OUT, FALSE = shell("echo out; echo oops >&2; exit 3"), (*shell("true"), *shell("exit 1"))


@pytest.mark.parametrize(
    ("point", "hook", "words", "code"),
    [
        ("prestart", OUT, "prestart hook #0: exit status 3, stdout: out\n, stderr: oops", 128),
        ("create_runtime", shell("kill -9 $$"), "createRuntime hook #0: signal: killed, stdout: , stderr:", 128),
        ("create_runtime", (Hook(path="/nosuch"),), f"createRuntime hook #0: {NOT_FOUND}", 127),
        ("create_container", FALSE, "createContainer hook #1: exit status 1, stdout: , stderr:", 128),
        ("create_container", shell("sleep 100", timeout=1), f"createContainer hook #0: {LATE}", 128),
        (
            "start_container",
            (Hook(path="/bin/false"),),
            "startContainer hook #0: exit status 1, stdout: , stderr:",
            128,
        ),
    ],
)
async def test_one_that_fails_fails_the_start_in_runcs_words(driver, boxes, tmp_path, point, hook, words, code):
    birth = hooked(boxes.birth("true"), **{point: hook}, poststop=shell(f"touch {tmp_path}/undone"))
    with pytest.raises(StartFailed) as caught:
        await driver.start(birth)
    assert str(caught.value) == f"error running {words}"
    assert caught.value.exit_code == code
    assert (tmp_path / "undone").exists()
    assert not run_directory(tmp_path, birth).exists()


async def test_those_that_follow_may_fail_and_the_next_ones_run(driver, boxes, tmp_path, caplog):
    after = (
        *shell("echo oops >&2; exit 1"),
        Hook(path="/nosuch"),
        *shell("sleep 100", timeout=1),
        *shell(f"touch {tmp_path}/after"),
    )
    birth = hooked(boxes.birth("true"), poststart=after, poststop=(*shell("exit 4"), *shell(f"touch {tmp_path}/end")))
    process = await driver.start(birth)
    assert (await process.wait()).code == 0
    await driver.forget(birth.id)
    assert (tmp_path / "after").exists()
    assert (tmp_path / "end").exists()
    for words in (
        "poststart hook #0: exit status 1, stdout: , stderr: oops",
        f"poststart hook #1: {NOT_FOUND}",
        f"poststart hook #2: {LATE}",
        "poststop hook #0: exit status 4",
    ):
        assert words in caplog.text


async def test_one_without_a_limit_has_one_beside_the_daemon(driver, boxes, caplog, monkeypatch):
    monkeypatch.setattr("wherry.drivers.hooks._SECONDS_MAX", 0.5)
    birth = hooked(boxes.birth("true"), poststop=shell("sleep 100"))
    await (await driver.start(birth)).wait()
    await driver.forget(birth.id)
    assert "poststop hook #0: hook ran past specified timeout of 0.5s" in caplog.text


async def test_much_output_and_a_child_that_stays_hold_nothing_up(driver, boxes):
    script = "head -c 1000000 /dev/zero; sleep 3 & exit 0"
    birth = hooked(boxes.birth("true"), create_runtime=shell(script), create_container=shell(script))
    begun = time.monotonic()
    await (await driver.start(birth)).wait()
    await driver.forget(birth.id)
    assert time.monotonic() - begun < 3


async def test_the_next_daemon_runs_those_of_the_end(driver, boxes, tmp_path):
    birth = hooked(boxes.birth("sleep", "1000"), poststop=shell(f"cat > {tmp_path}/state"))
    await driver.start(birth)
    await driver.close()
    another = NativeDriver(str(tmp_path / "exec"))
    await another.open()
    process = await another.adopt(birth.id)
    await process.signal(9)
    await process.wait()
    await another.forget(birth.id)
    assert json.loads((tmp_path / "state").read_text())["status"] == "stopped"
    await another.close()
    await driver.open()


async def test_a_monitor_that_is_killed_meanwhile_changes_nothing(driver, boxes, tmp_path):
    birth = hooked(boxes.birth("sleep", "1000"), create_runtime=shell("true"), poststop=shell(f"touch {tmp_path}/end"))
    process = await driver.start(birth)
    alive = json.loads((run_directory(tmp_path, birth) / "alive.json").read_text())
    os.kill(alive["monitor_pid"], 9)
    await process.signal(9)
    await process.wait()
    await driver.forget(birth.id)
    assert (tmp_path / "end").exists()


async def test_a_monitor_that_is_killed_while_a_hook_runs_fails_the_start_at_once(driver, boxes, tmp_path):
    script = f"echo $PPID > {tmp_path}/.runner && mv {tmp_path}/.runner {tmp_path}/runner; sleep 5"
    birth = hooked(boxes.birth("true"), create_runtime=shell(script))
    starting = asyncio.create_task(driver.start(birth))
    for _ in range(1000):
        if (tmp_path / "runner").exists():
            break
        await asyncio.sleep(0.01)
    runner = int((tmp_path / "runner").read_text())
    monitor = int(Path(f"/proc/{runner}/stat").read_text().rpartition(")")[2].split()[1])
    begun = time.monotonic()
    os.kill(monitor, 9)
    with pytest.raises(Exception, match="was killed at its birth"):
        await starting
    assert time.monotonic() - begun < 4
    assert not run_directory(tmp_path, birth).exists()


async def test_what_cannot_be_read_of_a_bundle_is_told_and_passed_over(tmp_path, caplog):
    await after_end("x", str(tmp_path))
    assert caplog.text == ""
    (tmp_path / "config.json").write_text("{")
    await after_end("x", str(tmp_path))
    assert "container x: its bundle cannot be read" in caplog.text
