"""Docker's defaults, seen from inside (security defaults, exactly)."""

import json


def run(daemon, *arguments, **options):
    return daemon.out("run", "--rm", *arguments, **options)


def status_of(daemon, *flags):
    lines = run(daemon, *flags, "busybox", "cat", "/proc/self/status").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_capabilities_seccomp_and_privileges(daemon):
    status = status_of(daemon)
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert status[name] == "00000000a80425fb"
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("0", "2")
    assert status["Umask"] == "0022"


def test_capabilities_are_added_and_dropped(daemon):
    assert status_of(daemon, "--cap-drop", "ALL", "--cap-add", "CHOWN")["CapEff"] == "0000000000000001"
    assert status_of(daemon, "--user", "1000")["CapEff"] == "0000000000000000"
    assert status_of(daemon, "--security-opt", "no-new-privileges")["NoNewPrivs"] == "1"
    assert status_of(daemon, "--security-opt", "seccomp=unconfined")["Seccomp"] == "0"
    done = daemon.docker("create", "--cap-add", "NOPE", "busybox", check=False)
    assert "CAP_NOPE" in done.stderr


def test_privileged_has_what_the_daemon_has(daemon):
    with open("/proc/self/status") as file:
        own = next(line.split()[1] for line in file if line.startswith("CapBnd"))
    status = status_of(daemon, "--privileged")
    assert status["CapEff"] == own
    assert status["Seccomp"] == "0"
    with open("/proc/sys/kernel/cap_last_cap") as file:
        everything = (1 << int(file.read()) + 1) - 1
    said = daemon.docker("create", "--privileged", "busybox").stderr
    assert ("the privileged container is without" in said) is (int(own, 16) != everything)
    assert "fuse" in run(daemon, "--privileged", "busybox", "ls", "/dev").split()


def test_masked_and_read_only_paths(daemon):
    script = (
        "cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware | wc -l;"
        'for p in bus fs irq sys; do grep -q " /proc/$p .*[ ,]ro[ ,]" /proc/mounts && echo $p; done;'
        "touch /sys/x 2>&1; touch /sys/fs/cgroup/x 2>&1"
    )
    lines = run(daemon, "busybox", "sh", "-c", script, check=False).splitlines()
    assert lines[:2] == ["0", "0"]
    assert lines[2:6] == ["bus", "fs", "irq", "sys"]
    assert all("Read-only file system" in line for line in lines[6:])


def test_the_devices_of_dev(daemon):
    names = set(run(daemon, "busybox", "ls", "/dev").split())
    # /dev/core is there where the kernel has /proc/kcore.
    assert names - {"core"} == {
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    }  # fmt: skip


def test_nothing_of_the_engine_is_open_inside(daemon):
    """Only the three streams; the fourth is the directory that ls itself reads."""
    assert set(run(daemon, "busybox", "ls", "/proc/self/fd").split()) == {"0", "1", "2", "3"}
    links = run(daemon, "busybox", "ls", "-l", "/proc/self/fd")
    assert "socket:" not in links
    assert "anon_inode" not in links


def test_working_directories_cannot_point_outside(daemon):
    for number in range(3, 32):
        done = daemon.docker("run", "--rm", "-w", f"/proc/self/fd/{number}", "busybox", "pwd", check=False)
        assert done.returncode != 0 or done.stdout.startswith("/proc/")


def test_namespaces_are_its_own(daemon):
    inside = run(
        daemon, "busybox", "sh", "-c", "for n in mnt net uts pid ipc user; do readlink /proc/self/ns/$n; done"
    ).split()
    import os

    outside = [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "net", "uts", "pid", "ipc", "user")]
    assert [a != b for a, b in zip(inside, outside, strict=True)] == [True] * 5 + [False]


def test_mounts_have_dockers_options(daemon):
    rows = [line.split() for line in run(daemon, "busybox", "cat", "/proc/mounts").splitlines()]
    options = {row[1]: set(row[3].split(",")) for row in rows}
    assert {"nosuid", "nodev", "noexec"} <= options["/proc"]
    assert {"ro", "nosuid", "nodev", "noexec"} <= options["/sys"]
    assert {"nosuid", "nodev", "noexec", "size=65536k"} <= options["/dev/shm"]
    assert {"nosuid", "size=65536k", "mode=755"} <= options["/dev"]


def test_the_hosts_mount_table_is_untouched(daemon):
    with open("/proc/self/mountinfo") as file:
        before = file.read()
    daemon.docker("run", "-d", "--name", "mm", "-v", "data:/data", "busybox", "sleep", "100")
    with open("/proc/self/mountinfo") as file:
        assert file.read() == before


def test_dangerous_system_calls_are_refused(daemon):
    for command in (["unshare", "-r", "true"], ["mount", "-t", "tmpfs", "x", "/tmp"], ["unshare", "-m", "true"]):
        done = daemon.docker("run", "--rm", "busybox", *command, check=False)
        assert done.returncode != 0
        assert "ermi" in done.stderr


def test_inspect_shows_what_is_in_force(daemon):
    daemon.docker("create", "--name", "ii", "busybox", "true")
    host_config = json.loads(daemon.out("inspect", "-f", "{{json .HostConfig}}", "ii"))
    assert host_config["ShmSize"] == 67108864
    assert "/proc/kcore" in host_config["MaskedPaths"]
    assert host_config["LogConfig"]["Type"] == "json-file"
    assert host_config["IpcMode"] == "private"
