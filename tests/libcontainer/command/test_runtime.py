"""`wherry-runtime` from the outside: the verbs, their words and exit codes, as runc's."""

import array
import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wherry.libcontainer import seccomp
from wherry.linux import process, terminal
from wherry.oci.runtime import Hook, Hooks, Memory, Pids, Resources, Seccomp, SeccompRule

RUNTIME = Path(sys.executable).parent / "wherry-runtime"
NO_PIVOT = "wherry-runtime create failed: --no-pivot is not supported: the root is always pivoted into"
NO_SYSTEMD = "--systemd-cgroup is not supported: cgroups are made directly (use the cgroupfs driver)"


def wait_for_end(pid):
    with contextlib.suppress(ProcessLookupError):
        pidfd = process.pidfd_open(pid)
        assert select.select([pidfd], [], [], 30)[0]
        os.close(pidfd)


def test_a_container_s_life(runtime):
    name = runtime.configure("sh", "-c", "sleep 1000", hostname="box", annotations={"a": "b"})
    runtime.ok("create", "--bundle", str(runtime.bundle), "--pid-file", str(runtime.directory / "pid"), name)
    state = runtime.state(name)
    assert (state["id"], state["status"], state["annotations"]) == (name, "created", {"a": "b"})
    assert state["bundle"] == str(runtime.bundle)
    assert int((runtime.directory / "pid").read_text()) == state["pid"]
    assert runtime.message("create", name).endswith("create failed: container with given ID already exists")

    runtime.ok("start", name)
    assert runtime.state(name)["status"] == "running"
    assert runtime.message("start", name) == "cannot start an already running container"
    assert runtime.message("delete", name) == f"cannot delete container {name} that is not stopped: running"

    assert runtime("exec", name, "sh", "-c", "hostname; exit 7").returncode == 7
    assert runtime.ok(
        "exec", "-e", "A=b", "--cwd", "/tmp", "-u", "5:6", name, "sh", "-c", "echo $A; pwd; id"
    ).split() == [
        "b",
        "/tmp",
        "uid=5",
        "gid=6",
    ]
    assert json.loads(runtime.ok("ps", "-f", "json", name))[0] == state["pid"]
    assert "sleep 1000" in runtime.ok("ps", name)
    assert name in runtime.ok("list", "-q").split()
    assert [one["id"] for one in json.loads(runtime.ok("list", "--format=json"))] == [name]

    runtime.ok("pause", name)
    assert runtime.state(name)["status"] == "paused"
    assert runtime.message("exec", name, "true", code=255).startswith("exec failed: cannot exec in a paused container")
    runtime.ok("resume", name)
    assert runtime.message("resume", name) == "container not paused"

    runtime.ok("kill", name, "KILL")
    wait_for_end(state["pid"])
    assert runtime.state(name) | {"pid": 0, "status": "stopped"} == runtime.state(name)
    assert runtime.message("kill", name) == "container not running"
    assert runtime.message("start", name) == "cannot start a container that has stopped"
    assert runtime.message("exec", name, "true", code=255) == "exec failed: cannot exec a container that has stopped"
    runtime.ok("kill", "--all", name, "TERM")
    runtime.ok("delete", name)
    assert runtime.message("state", name) == "container does not exist"
    runtime.ok("delete", "--force", name)


def test_run_gives_the_exit_code_and_leaves_nothing(runtime):
    name = runtime.configure("sh", "-c", "echo hello; exit 3")
    done = runtime("run", name)
    assert (done.returncode, done.stdout) == (3, "hello\n")
    assert runtime.ok("list", "-q") == ""


def test_run_forwards_signals(runtime):
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    name = runtime.configure("sh", "-c", script)
    command = [str(RUNTIME), "--root", str(runtime.directory / "state"), "run", name]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=runtime.bundle) as runner:
        assert runner.stdout.readline() == b"ready\n"
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(30) == 9


def test_run_detached_lives_on(runtime):
    name = runtime.configure("sleep", "1000")
    runtime.ok("run", "-d", name)
    assert runtime.state(name)["status"] == "running"


def test_a_program_that_is_not_there_is_told_at_create_and_nothing_stays(runtime):
    name = runtime.configure("nosuch")
    for verb in ("create", "run"):
        assert runtime.message(verb, name) == (
            f"wherry-runtime {verb} failed: unable to start container process: error during container init: "
            'exec: "nosuch": executable file not found in $PATH'
        )
    assert runtime.ok("list", "-q") == ""


def test_a_file_that_cannot_be_executed_is_told_at_start(runtime):
    garbage = runtime.cellar.rootfs / "bin/garbage"
    garbage.write_bytes(b"\0")
    garbage.chmod(0o755)
    name = runtime.configure("garbage")
    runtime.ok("create", name)
    assert runtime.message("start", name) == "exec /bin/garbage: exec format error"
    assert runtime.state(name)["status"] == "stopped"


def test_a_container_that_was_killed_before_its_start_says_so(runtime):
    name = runtime.configure("true")
    runtime.ok("create", name)
    runtime.ok("kill", name, "9")
    assert runtime.message("start", name) == "cannot start a container that has stopped"


def test_a_created_container_can_be_deleted(runtime):
    name = runtime.configure("true")
    runtime.ok("create", name)
    runtime.ok("delete", name)
    assert runtime.message("state", name) == "container does not exist"


def test_the_terminal_of_a_detached_container_goes_to_the_console_socket(runtime):
    name = runtime.configure("sh", "-c", "tty; sleep 1000", process={"terminal": True})
    assert "cannot allocate tty" in runtime.message("create", name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(runtime.directory / "console"))
        listener.listen()
        runtime.ok("create", "--console-socket", str(runtime.directory / "console"), name)
        line, _ = listener.accept()
    with line:
        data, ancillary, _, _ = line.recvmsg(64, socket.CMSG_SPACE(4))
    fds = array.array("i", ancillary[0][2])
    assert data == b"/dev/pts/0"
    runtime.ok("start", name)
    assert os.read(fds[0], 64) == b"/dev/pts/0\r\n"
    os.close(fds[0])


def test_run_and_exec_join_the_terminal_they_are_in(runtime):
    script = "tty; stty size; read line; echo got $line"
    name = runtime.configure("sh", "-c", script, process={"terminal": True})
    assert in_terminal(runtime, ["run", name]) == b"/dev/pts/0\r\n30 100\r\nword\r\ngot word\r\n"
    name = runtime.configure("sleep", "1000")
    runtime.ok("run", "-d", name)
    assert in_terminal(runtime, ["exec", "-t", name, "sh", "-c", script]).endswith(b"30 100\r\nword\r\ngot word\r\n")


def in_terminal(runtime, words):
    """Run a verb in a terminal of 30 lines and 100 columns, and answer when the program has said so."""
    master, other = pty.openpty()
    terminal.set_size(other, height=30, width=100)
    command = [str(RUNTIME), "--root", str(runtime.directory / "state"), *words]
    streams = {"stdin": other, "stdout": other, "stderr": other}
    child = subprocess.Popen(command, cwd=runtime.bundle, start_new_session=True, **streams)
    os.close(other)
    data, answered = b"", False
    with contextlib.suppress(OSError):  # EIO: the last one has closed the other end
        while more := os.read(master, 4096):
            data += more
            if b"100\r\n" in data and not answered:
                os.write(master, b"word\r")
                answered = True
    os.close(master)
    assert child.wait(30) == 0, data
    return data


def test_limits_are_set_and_updated(runtime):
    limits = Resources(memory=Memory(limit=64 << 20), pids=Pids(limit=50))
    name = runtime.configure("sleep", "1000", linux={"resources": limits})
    runtime.ok("run", "-d", name)
    runtime.ok("update", "--memory", "96M", "--pids-limit=60", name)
    (runtime.directory / "resources.json").write_text('{"pids": {"limit": 70}}')
    assert _limit(name, "memory", ("memory.limit_in_bytes", "memory.max")) == str(96 << 20)
    assert _limit(name, "pids", ("pids.max", "pids.max")) == "60"
    runtime.ok("update", "-r", str(runtime.directory / "resources.json"), name)
    assert _limit(name, "pids", ("pids.max", "pids.max")) == "70"


def _limit(name, controller, files):
    for path in (
        f"/sys/fs/cgroup/{controller}/wherry-tests/{name}/{files[0]}",
        f"/sys/fs/cgroup/wherry-tests/{name}/{files[1]}",
    ):
        if os.path.exists(path):
            return Path(path).read_text().strip()
    raise AssertionError(f"no cgroup of {name}")


def test_the_filter_of_the_container_is_also_its_execs(runtime):
    profile = Seccomp(
        default_action="SCMP_ACT_ALLOW", syscalls=(SeccompRule(names=("mkdir",), action="SCMP_ACT_ERRNO"),)
    )
    assert seccomp.compile_program(profile)
    name = runtime.configure("sh", "-c", "mkdir /a; sleep 1000", linux={"seccomp": profile})
    runtime.ok("run", "-d", name)
    assert "Operation not permitted" in runtime("exec", name, "mkdir", "/b").stderr


def test_an_exec_can_be_detached(runtime):
    name = runtime.configure("sleep", "1000")
    runtime.ok("run", "-d", name)
    said = {"args": ["sleep", "500"], "cwd": "/", "env": ["PATH=/bin"]}
    (runtime.directory / "process.json").write_text(json.dumps(said))
    pid_file = runtime.directory / "exec.pid"
    runtime.ok(
        "exec", "--process", str(runtime.directory / "process.json"), "--detach", "--pid-file", str(pid_file), name
    )
    assert int(pid_file.read_text()) in json.loads(runtime.ok("ps", "--format=json", name))


def test_hooks_after_start_and_stop_run(runtime):
    def hook(name):
        path = runtime.directory / f"{name}.sh"
        path.write_text(f"#!/bin/sh\ncat > {runtime.directory}/{name}\n")
        path.chmod(0o755)
        return (Hook(path=str(path)),)

    name = runtime.configure("true", hooks=Hooks(poststart=hook("poststart"), poststop=hook("poststop")))
    runtime.ok("run", name)
    assert json.loads((runtime.directory / "poststart").read_text())["status"] == "running"
    assert json.loads((runtime.directory / "poststop").read_text())["status"] == "stopped"


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("state", "nope"), "container does not exist", 1),
        (("exec", "nope", "true"), "exec failed: container does not exist", 255),
        (("create",), 'wherry-runtime: "create" requires exactly 1 argument(s)', 1),
        (("create", "a/b"), "wherry-runtime create failed: invalid container ID format", 1),
        (("create", ""), "wherry-runtime create failed: container id cannot be empty", 1),
        (("create", "x", "-b", "/none"), "wherry-runtime create failed: chdir /none: no such file or directory", 1),
        (("create", "--frob", "x"), "flag provided but not defined: -frob", 1),
        (("create", "--no-pivot", "x"), NO_PIVOT, 1),
        (("frob",), "No help topic for 'frob'", 3),
        (("checkpoint", "x"), "checkpoint is not supported by wherry-runtime", 1),
        (("restore", "x"), "restore is not supported by wherry-runtime", 1),
        (("events", "x"), "events is not supported by wherry-runtime: read the container's cgroup", 1),
        (("--criu", "x", "list"), "--criu is not supported: there are no checkpoints", 1),
        (("--rootless", "true", "list"), "--rootless is not supported: root is required", 1),
        (("list", "-f", "xml"), "invalid format option", 1),
        (("--systemd-cgroup", "list"), NO_SYSTEMD, 1),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_nothing_is_ignored(runtime, words, message, code):
    runtime.configure("true")
    done = runtime(*words)
    assert done.returncode == code
    assert json.dumps(message) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle_without_a_config_and_a_broken_one_are_told(runtime):
    runtime.configure("true")
    (runtime.bundle / "config.json").write_text('{"ociVersion": 1}')
    assert "config.json: Expected `str`" in runtime.message("create", "x")
    (runtime.bundle / "config.json").unlink()
    assert runtime.message("create", "x").endswith("JSON specification file config.json not found")


def test_spec_makes_a_bundle_that_runs(runtime):
    runtime.configure("true")
    (runtime.bundle / "config.json").unlink()
    runtime.ok("spec")
    assert runtime.message("spec") == "File config.json exists. Remove it first"
    config = json.loads((runtime.bundle / "config.json").read_text())
    config["process"].update(args=["hostname"], terminal=False, env=["PATH=/bin"], rlimits=[])
    config["root"]["path"] = str(runtime.cellar.rootfs)
    config["linux"]["cgroupsPath"] = f"/wherry-tests/{runtime.made[0]}"
    (runtime.bundle / "config.json").write_text(json.dumps(config))
    assert runtime.ok("run", runtime.made[0]) == "wherry\n"


def test_features_names_only_actions_that_compile(runtime):
    features = json.loads(runtime.ok("features"))
    assert features["linux"]["cgroup"] == {"v1": True, "v2": True, "systemd": False, "systemdUser": False}
    for name in features["linux"]["seccomp"]["actions"]:
        profile = Seccomp(default_action="SCMP_ACT_ALLOW", syscalls=(SeccompRule(names=("mkdir",), action=name),))
        assert seccomp.compile_program(profile)


def test_crun_s_spellings_are_understood(runtime):
    name = runtime.configure("sleep", "1000")
    config = runtime.bundle / "config.json"
    config.rename(runtime.bundle / "other.json")
    runtime.ok(
        "--cgroup-manager=cgroupfs", f"--log=file:{runtime.directory}/log", "run", "--config=other.json", "-d", name
    )
    runtime.ok("kill", name, "SIGKILL")


def test_the_interpreter_is_executed_from_a_read_only_mount(runtime):
    """So that no program in a container can write to it by /proc/self/exe (CVE-2019-5736)."""
    name = runtime.configure("true")
    runtime.ok("create", name)
    pid = runtime.state(name)["pid"]
    assert os.statvfs(f"/proc/{pid}/exe").f_flag & os.ST_RDONLY


def test_a_created_container_holds_nothing_of_the_host(runtime):
    """CVE-2024-21626: in the state `created` there are its streams and the two pipes of its start."""
    name = runtime.configure("true")
    runtime.ok("create", name)
    pid = runtime.state(name)["pid"]
    state = runtime.directory / "state" / name
    allowed = {
        "/dev/null",
        str(runtime.directory / "out"),
        str(runtime.directory / "err"),
        str(state / "start"),
        str(state / "report"),
    }
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")} <= allowed


def test_version_and_help_are_printed(runtime):
    assert runtime.ok("--version").startswith("wherry-runtime version ")
    assert "create and run a container" in runtime.ok("--help")
    assert "--pid-file value" in runtime.ok("create", "--help")
