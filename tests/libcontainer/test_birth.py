"""A container's first process: what it sees, what it is, and how its birth fails."""

import os
import select
from pathlib import Path

import pytest

from wherry.libcontainer.birth import BirthError
from wherry.libcontainer.seccomp import compile_program
from wherry.linux import process, terminal
from wherry.oci.runtime import (
    Capabilities,
    ConsoleSize,
    Device,
    Hook,
    Hooks,
    IdMapping,
    Mount,
    Namespace,
    Rlimit,
    Root,
    Seccomp,
    TimeOffset,
    User,
)

pytestmark = pytest.mark.usefixtures("nothing_left")

MAP = (IdMapping(container_id=0, host_id=100000, size=65536),)
MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware")
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys")
USER = {
    "namespaces": ("pid", "network", "mount", "ipc", "uts", "user"),
    "linux": {"uid_mappings": MAP, "gid_mappings": MAP},
}


def bind(source, destination, *options):
    return Mount(destination=destination, type="bind", source=str(source), options=("rbind", "rprivate", *options))


def read_terminal(master):
    data = b""
    try:
        while select.select([master], [], [], 20)[0]:
            more = os.read(master, 4096)
            if not more:
                break
            data += more
    except OSError:
        pass
    return data.decode()


def test_the_program_runs_and_its_exit_code_comes_back(cellar):
    result = cellar.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")


def test_it_is_pid_1_with_names_and_network_of_its_own(cellar):
    result = cellar.run("sh", "-c", "echo $$; hostname; ip -o link | wc -l; ip -o addr", hostname="box")
    assert result.lines[:3] == ["1", "box", "1"]
    assert "127.0.0.1/8" in result.out


def test_nothing_of_the_host_is_mounted_or_open(cellar):
    result = cellar.run("sh", "-c", "cat /proc/self/mountinfo; echo --; ls /proc/self/fd")
    mounts, _, fds = result.out.partition("--\n")
    points = [line.split()[4] for line in mounts.splitlines()]
    expected = {"/", *(mount.destination for mount in cellar.spec().mounts), *MASKED, *READONLY}
    assert set(points) <= expected
    assert fds.split()[:3] == ["0", "1", "2"]
    assert len(fds.split()) == 4  # the last is ls's own


def test_the_default_devices_are_there_and_nothing_else(cellar):
    result = cellar.run("ls", "/dev")
    links = ["core"] if os.path.exists("/proc/kcore") else []
    names = ["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty"]
    assert result.lines == [*links, *names, "urandom", "zero"]
    result = cellar.run("stat", "-c", "%n %a %t:%T", *(f"/dev/{name}" for name in ("null", "zero", "tty")))
    assert result.lines == ["/dev/null 666 1:3", "/dev/zero 666 1:5", "/dev/tty 666 5:0"]
    assert cellar.run("readlink", "/dev/ptmx").out == "pts/ptmx\n"


def test_a_device_that_was_asked_for_has_its_mode_and_owner(cellar):
    device = Device(type="c", path="/dev/fuse", major=10, minor=229, file_mode=0o640, uid=3, gid=4)
    result = cellar.run("stat", "-c", "%a %u:%g %t:%T", "/dev/fuse", linux={"devices": (device,)})
    assert result.out == "640 3:4 a:e5\n"


def test_masked_paths_are_empty_and_readonly_paths_refuse(cellar):
    script = "cat /proc/keys /proc/timer_list; ls -A /sys/firmware; echo x > /proc/sys/kernel/hostname; echo x > /sys/x"
    result = cellar.run("sh", "-c", script)
    assert result.out == ""
    assert result.err.count("Read-only file system") == 2


def test_capabilities_are_the_spec_s_and_none_is_inheritable(cellar):
    result = cellar.run("grep", "^Cap", "/proc/self/status")
    assert [line.split()[1] for line in result.lines] == [
        "0000000000000000",
        "00000000a80425fb",
        "00000000a80425fb",
        "00000000a80425fb",
        "0000000000000000",
    ]


def test_a_user_without_names_has_just_its_ids_and_loses_capabilities(cellar):
    user = User(uid=1000, gid=1001, additional_gids=(5, 6), umask=0o027)
    caps = Capabilities(bounding=("CAP_CHOWN",))
    result = cellar.run(
        "sh", "-c", "id; umask; echo $HOME; grep CapEff /proc/self/status", process={"user": user, "capabilities": caps}
    )
    assert result.lines == ["uid=1000(sailor) gid=1001 groups=5,6", "0027", "/home/sailor", "CapEff:\t0000000000000000"]


def test_ambient_capabilities_reach_a_program_of_another_user(cellar):
    one = ("CAP_NET_BIND_SERVICE",)
    caps = Capabilities(bounding=one, effective=one, permitted=one, inheritable=one, ambient=one)
    result = cellar.run(
        "grep", "CapEff", "/proc/self/status", process={"user": User(uid=9, gid=9), "capabilities": caps}
    )
    assert result.out.split()[1] == "0000000000000400"


def test_a_hostile_passwd_gives_no_home_and_does_no_harm(cellar):
    passwd = cellar.rootfs / "etc/passwd"
    passwd.unlink()
    os.mkfifo(passwd)
    assert cellar.run("sh", "-c", "echo $HOME").out == "/\n"
    passwd.unlink()
    passwd.symlink_to("/dev/zero")
    assert cellar.run("sh", "-c", "echo $HOME").out == "/\n"
    passwd.unlink()
    with passwd.open("wb") as file:
        file.truncate(2 << 30)
    assert cellar.run("sh", "-c", "echo $HOME").out == "/\n"


def test_no_new_privileges_umask_and_oom_score_are_set(cellar):
    said = {"no_new_privileges": True, "oom_score_adj": 321}
    result = cellar.run("sh", "-c", "grep NoNew /proc/self/status; umask; cat /proc/self/oom_score_adj", process=said)
    assert result.lines == ["NoNewPrivs:\t1", "0022", "321"]


def test_an_oom_score_that_is_not_permitted_is_a_warning(cellar):
    result = cellar.run("true", process={"oom_score_adj": -1000})
    assert result.code == 0
    assert result.warnings in ([], ["cannot set oom_score_adj to -1000: operation not permitted"])


def test_limits_are_set_and_those_out_of_reach_say_which(cellar):
    limit = Rlimit(type="RLIMIT_NOFILE", soft=64, hard=128)
    result = cellar.run("sh", "-c", "ulimit -n; ulimit -Hn", process={"rlimits": (limit,)})
    assert result.lines == ["64", "128"]
    if not _may_raise():
        beyond = Rlimit(type="RLIMIT_NOFILE", soft=64, hard=1 << 20)
        with pytest.raises(BirthError, match="error setting rlimit type 7: operation not permitted"):
            cellar.run("true", process={"rlimits": (beyond,)})


def _may_raise():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapEff")).split()[1], 16) >> 24 & 1


def test_signals_are_as_a_program_expects_them(cellar):
    result = cellar.run("grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status")
    assert {line.split()[1] for line in result.lines} == {"0000000000000000"}


@pytest.mark.parametrize(
    ("command", "message", "code"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH', 127),
        ("/x", 'exec: "/x": stat /x: no such file or directory', 127),
        ("/etc", 'exec: "/etc": is a directory: permission denied', 126),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied', 126),
        ("/bin/sh/x", 'exec: "/bin/sh/x": stat /bin/sh/x: not a directory', 126),
    ],
)
def test_a_program_that_cannot_run_is_told_in_runc_s_words(cellar, command, message, code):
    with pytest.raises(BirthError) as caught:
        cellar.run(command)
    assert (str(caught.value), caught.value.exit_code) == (message, code)


def test_a_file_of_no_known_format_is_told_after_its_execution_failed(cellar):
    script = cellar.rootfs / "bin/garbage"
    script.write_bytes(b"\0garbage")
    script.chmod(0o755)
    with pytest.raises(BirthError, match=r"^exec /bin/garbage: exec format error$") as caught:
        cellar.run("garbage")
    assert caught.value.exit_code == 126


def test_a_working_directory_is_made_and_one_that_cannot_be_is_told(cellar):
    assert cellar.run("pwd", process={"cwd": "/a/b"}).out == "/a/b\n"
    (cellar.rootfs / "file").write_text("")
    with pytest.raises(BirthError, match=r'chdir to cwd \("/file"\) set in config.json failed: not a directory'):
        cellar.run("pwd", process={"cwd": "/file"})


def test_a_read_only_root_is_read_only_but_its_tmpfs_is_not(cellar):
    result = cellar.run("sh", "-c", "touch /x; touch /dev/shm/x && echo ok", root=Root(path="rootfs", readonly=True))
    assert result.out == "ok\n"
    assert "Read-only file system" in result.err


def test_binds_tmpfs_and_files_are_mounted_in_order(cellar, tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/f").write_text("from outside")
    extra = (
        bind(tmp_path / "volume", "/v"),
        Mount(destination="/v/t", type="tmpfs", source="tmpfs", options=("size=1m", "mode=700", "ro")),
        bind(tmp_path / "volume/f", "/new/deep/file", "ro"),
    )
    script = "cat /v/f /new/deep/file; stat -c %a /v/t; touch /v/t/x; touch /v/made; echo x > /new/deep/file"
    result = cellar.run("sh", "-c", script, extra=extra)
    assert result.out == "from outsidefrom outside700\n"
    assert result.err.count("Read-only file system") == 2
    assert (tmp_path / "volume/made").exists()


def test_a_recursive_read_only_bind_covers_its_submounts(cellar, tmp_path):
    extra = (bind("/dev", "/host", "rro"),)
    result = cellar.run("sh", "-c", "touch /host/x; touch /host/shm/x", extra=extra)
    assert result.err.count("Read-only file system") == 2


def test_a_tmpfs_can_start_with_what_it_covers(cellar):
    (cellar.rootfs / "data/below").mkdir(parents=True)
    (cellar.rootfs / "data/below/file").write_text("kept")
    (cellar.rootfs / "data").chmod(0o750)
    extra = (Mount(destination="/data", type="tmpfs", source="tmpfs", options=("tmpcopyup",)),)
    result = cellar.run("sh", "-c", "cat /data/below/file; stat -c %a /data; rm -r /data/below", extra=extra)
    assert result.out == "kept750\n"
    assert (cellar.rootfs / "data/below/file").exists()


def test_sysctls_are_written_for_the_namespaces_it_has(cellar):
    values = {"net.ipv4.ip_unprivileged_port_start": "0", "kernel.shm_rmid_forced": "1"}
    paths = ["/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/shm_rmid_forced"]
    assert cellar.run("cat", *paths, linux={"sysctl": values}).lines == ["0", "1"]
    with pytest.raises(BirthError, match=r'sysctl "kernel.pid_max" is not in a separate kernel namespace'):
        cellar.run("true", linux={"sysctl": {"kernel.pid_max": "100"}})


def test_a_terminal_is_the_container_s_own(cellar):
    said = {"terminal": True, "console_size": ConsoleSize(height=21, width=77)}
    child = cellar.start(
        cellar.spec("sh", "-c", "tty; stty size; stat -c %t /dev/console; sleep 0 < /dev/tty", process=said)
    )
    text = read_terminal(child.terminal)
    assert text.split() == ["/dev/pts/0", "21", "77", "88"]
    assert terminal.size(child.terminal) == (21, 77)


def test_a_terminal_without_a_devpts_is_refused(cellar):
    from_docker = cellar.spec("true").mounts
    with pytest.raises(BirthError, match="/dev/pts/ptmx"):
        cellar.run("true", mounts=[one for one in from_docker if one.type != "devpts"], process={"terminal": True})


def test_ids_can_be_mapped(cellar):
    result = cellar.run(
        "sh", "-c", "id -u; cat /proc/self/uid_map; echo > /dev/null && stat -c %t:%T /dev/null", **USER
    )
    assert result.code == 0
    assert result.out.split() == ["0", "0", "100000", "65536", "1:3"]


def test_a_mapped_container_gets_its_limits_and_oom_score(cellar):
    said = {
        "oom_score_adj": 50,
        "rlimits": (Rlimit(type="RLIMIT_NOFILE", soft=64, hard=128),),
        "user": User(uid=7, gid=8),
    }
    result = cellar.run("sh", "-c", "id; ulimit -n; cat /proc/self/oom_score_adj", process=said, **USER)
    assert result.lines == ["uid=7 gid=8", "64", "50"]
    assert result.warnings == []


def test_namespaces_of_another_container_can_be_joined(cellar):
    first = cellar.start(cellar.spec("sleep", "100", hostname="first"))
    spaces = [
        Namespace(type=kind, path=f"/proc/{first.pid}/ns/{name}")
        for kind, name in (("pid", "pid"), ("network", "net"), ("uts", "uts"), ("ipc", "ipc"))
    ]
    result = cellar.run("sh", "-c", "hostname; ps", namespaces=("mount", *spaces))
    assert result.lines[0] == "first"
    assert "1 root     sleep 100" in result.out


def test_a_user_namespace_can_be_joined_with_what_it_owns(cellar):
    first = cellar.start(cellar.spec("sleep", "100", **USER))
    spaces = [
        Namespace(type=kind, path=f"/proc/{first.pid}/ns/{name}")
        for kind, name in (("user", "user"), ("network", "net"))
    ]
    result = cellar.run("sh", "-c", "id -u; cat /proc/self/uid_map", namespaces=("mount", "pid", "uts", "ipc", *spaces))
    assert result.out.split() == ["0", "0", "100000", "65536"]


def test_a_namespace_that_is_not_there_is_told(cellar):
    spaces = ("mount", "pid", "uts", "ipc", Namespace(type="network", path="/nonexistent/ns"))
    with pytest.raises(BirthError, match="lstat /nonexistent/ns: no such file or directory"):
        cellar.run("true", namespaces=spaces)


def test_a_time_namespace_moves_the_clock(cellar):
    offsets = {"boottime": TimeOffset(secs=100 * 86400)}
    result = cellar.run(
        "cat",
        "/proc/uptime",
        namespaces=("pid", "mount", "network", "ipc", "uts", "time"),
        linux={"time_offsets": offsets},
    )
    assert float(result.out.split()[0]) > 100 * 86400


def test_a_cgroup_namespace_hides_where_it_is(cellar):
    result = cellar.run("cat", "/proc/self/cgroup", namespaces=("pid", "mount", "network", "ipc", "uts", "cgroup"))
    assert {line.rpartition(":")[2] for line in result.lines} == {"/"}


def test_a_container_can_wait_for_its_start(cellar):
    child = cellar.start(cellar.spec("sh", "-c", "exit 5"), wait_for_start=True)
    assert process.wait(child.pidfd, block=False) is None
    child.release()
    assert process.wait(child.pidfd).code == 5


def test_while_it_waits_it_has_nothing_open_that_leads_outside(cellar):
    child = cellar.start(cellar.spec("true"), wait_for_start=True)
    targets = [os.readlink(f"/proc/{child.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{child.pid}/fd")]
    assert all(target == "/dev/null" or target.startswith("socket:") for target in targets), targets
    child.release()


def test_hooks_run_where_and_when_the_specification_says(cellar, tmp_path):
    def hook(name, where):
        script = f"#!/bin/sh\ncat > {where}/{name}\nhostname >> {where}/{name}\n"
        path = (cellar.rootfs if name == "startContainer" else tmp_path) / f"{name}.sh"
        path.write_text(script)
        path.chmod(0o755)
        return (Hook(path="/startContainer.sh" if name == "startContainer" else str(path)),)

    hooks = Hooks(
        create_runtime=hook("createRuntime", tmp_path),
        create_container=hook("createContainer", tmp_path),
        start_container=hook("startContainer", "/root"),
    )
    (cellar.rootfs / "bin/hostname").chmod(0o755)
    spec = cellar.spec("true", hooks=hooks, hostname="box", annotations={"a": "b"})
    assert cellar.run(spec=spec, plan={"bundle": "/some/bundle"}).code == 0
    outside, inside = (tmp_path / "createRuntime").read_text(), (cellar.rootfs / "root/startContainer").read_text()
    assert '"status":"creating"' in outside
    assert '"bundle":"/some/bundle"' in outside
    assert '"status":"created"' in inside
    assert inside.endswith("box\n")
    assert (tmp_path / "createContainer").exists()


@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_a_hook_in_the_container_is_held_by_its_filter(cellar, no_new_privileges):
    script = "grep ^Seccomp: /proc/self/status > /root/filtered"
    hooks = Hooks(start_container=(Hook(path="/bin/sh", args=("sh", "-c", script), env=("PATH=/bin",)),))
    program = compile_program(Seccomp(default_action="SCMP_ACT_ALLOW"))
    plan, process = {"seccomp_program": program}, {"no_new_privileges": no_new_privileges}
    assert cellar.run("true", hooks=hooks, plan=plan, process=process).code == 0
    assert (cellar.rootfs / "root/filtered").read_text().split() == ["Seccomp:", "2"]


def test_a_hook_that_fails_ends_the_birth(cellar):
    hooks = Hooks(prestart=(Hook(path="/bin/false"),))
    with pytest.raises(BirthError, match="error running prestart hook #0: exit status 1"):
        cellar.run("true", hooks=hooks)


def test_a_hook_that_takes_too_long_is_killed(cellar):
    hooks = Hooks(prestart=(Hook(path="/bin/sleep", args=("sleep", "100"), timeout=1),))
    with pytest.raises(BirthError, match=r"hook ran past specified timeout of 1.0s"):
        cellar.run("true", hooks=hooks)


def test_descriptors_can_be_handed_on(cellar, tmp_path):
    (tmp_path / "given").write_text("given")
    fd = os.open(tmp_path / "given", os.O_RDONLY)
    taken = None if fd == 3 else os.dup(3) if os.path.exists("/proc/self/fd/3") else None
    flags = os.get_inheritable(3) if taken is not None else None
    os.dup2(fd, 3, inheritable=True)
    try:
        result = cellar.run("sh", "-c", "cat <&3", plan={"preserve_fds": 1})
    finally:
        if fd != 3:
            os.close(fd)
        if taken is not None:
            os.dup2(taken, 3, inheritable=flags)
            os.close(taken)
        else:
            os.close(3)
    assert result.out == "given"


def test_the_last_of_two_variables_of_a_name_wins(cellar):
    result = cellar.run("sh", "-c", "echo $A", process={"env": ("PATH=/bin", "A=1", "A=2")})
    assert result.out == "2\n"
    with pytest.raises(BirthError, match='invalid environment variable: "NONSENSE"'):
        cellar.run("true", process={"env": ("NONSENSE",)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"process": {"args": ()}}, "args must not be empty"),
        ({"process": {"cwd": "x"}}, "Cwd must be an absolute path"),
        ({"namespaces": ("pid",)}, "a mount namespace of the container's own is required"),
        ({"namespaces": ("mount",), "hostname": "x"}, "unable to set hostname without a private UTS namespace"),
        ({"namespaces": ("mount", "moon")}, 'namespace "moon" does not exist'),
        ({"namespaces": ("mount", "pid", "pid")}, 'malformed spec file: duplicated ns "pid"'),
        ({"linux": {"uid_mappings": MAP}}, "user namespace mappings specified"),
        ({"linux": {"intel_rdt": {"closID": "x"}}}, "linux.intelRdt is not supported"),
        ({"linux": {"personality": {"domain": "SUN"}}}, 'invalid personality domain "SUN"'),
        ({"linux": {"rootfs_propagation": "sideways"}}, 'rootfsPropagation="sideways" is not supported'),
        ({"linux": {"devices": (Device(type="x", path="/dev/x"),)}}, 'unknown device type "x" of /dev/x'),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(cellar, changes, message):
    with pytest.raises(BirthError, match=message):
        cellar.run("true", **changes)


def test_a_32_bit_personality_shows(cellar):
    result = cellar.run("cat", "/proc/self/personality", linux={"personality": {"domain": "LINUX32"}})
    assert result.out == "00000008\n"
