"""`docker run` with its flags, by the real command line."""

import os
import subprocess
import time

import pytest


def run(daemon, *arguments, **options):
    return daemon.out("run", "--rm", *arguments, **options)


def test_output_and_exit_code_come_back(daemon):
    done = daemon.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["nosuchprogram"], 127, "executable file not found in $PATH"),
        (["/etc"], 126, "is a directory"),
        (["/nosuch/path"], 127, "no such file or directory"),
        (["/etc/passwd"], 126, "permission denied"),
        (["sh", "-c", "kill -TERM $$; sleep 1; exit 3"], 3, ""),
    ],
)
def test_exit_codes_are_dockers(daemon, command, code, words):
    done = daemon.docker("run", "--rm", "busybox", *command, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_image_is_125(daemon):
    done = daemon.docker("run", "--rm", "--pull", "never", "nosuchimage", "true", check=False)
    assert done.returncode == 125
    assert "No such image: nosuchimage:latest" in done.stderr


def test_detached_then_logs(daemon, tmp_path):
    cidfile = tmp_path / "cid"
    identifier = daemon.out(
        "run", "-d", "--name", "web", "--cidfile", cidfile, "busybox", "sh", "-c", "echo hi; sleep 60"
    )
    assert cidfile.read_text() == identifier
    assert len(identifier) == 64
    assert daemon.out("ps", "--format", "{{.Names}} {{.Image}} {{.Status}}").startswith("web busybox Up")
    daemon.docker("stop", "-t", "1", "web")
    assert daemon.out("logs", "web") == "hi"


def test_environment_directory_user_and_host_name(daemon, tmp_path):
    env_file = tmp_path / "env"
    env_file.write_text("FROM_FILE=1\n# comment\n")
    script = 'echo "$A|$FROM_FILE|$PWD|$(hostname)|$(id -u):$(id -g)|$HOME"'
    said = run(
        daemon,
        "-e",
        "A=b c",
        "--env-file",
        env_file,
        "-w",
        "/tmp",
        "-h",
        "box",
        "-u",
        "user",
        "busybox",
        "sh",
        "-c",
        script,
    )
    assert said == "b c|1|/tmp|box|1000:1000|/home"


@pytest.mark.parametrize(
    ("user", "identity"),
    [("0", "0:0 0"), ("1000:2000", "1000:2000 2000"), ("1234", "1234:0 0"), ("user", "1000:1000 1000 2000")],
)
def test_users_by_number_and_name(daemon, user, identity):
    assert run(daemon, "-u", user, "busybox", "sh", "-c", "echo $(id -u):$(id -g) $(id -G)") == identity


def test_an_unknown_user_is_an_error(daemon):
    done = daemon.docker("run", "--rm", "-u", "nobody-here", "busybox", "true", check=False)
    assert done.returncode == 125 or done.returncode == 126
    assert "unable to find user nobody-here: no matching entries in passwd file" in done.stderr


def test_the_container_sees_only_itself(daemon):
    assert (
        run(daemon, "busybox", "sh", "-c", "echo $$; ps >/ps; wc -l </ps; ls /sys/class/net | xargs echo")
        == "1\n3\neth0 lo"
    )


def test_the_entry_point_is_replaced(daemon):
    assert run(daemon, "--entrypoint", "echo", "busybox", "a", "b") == "a b"


def cgroup_value(controller, name):
    return f"cat /sys/fs/cgroup/{controller}/{name} 2>/dev/null || cat /sys/fs/cgroup/{name}"


@pytest.mark.skipif(os.path.exists("/sys/fs/cgroup/cgroup.controllers"), reason="reads version 1 files")
def test_limits_reach_the_kernel(daemon):
    flags = ["-m", "64m", "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0", "--pids-limit", "77"]
    daemon.docker("run", "-d", "--name", "limited", *flags, "busybox", "sleep", "100")
    identifier = daemon.out("inspect", "-f", "{{.Id}}", "limited")

    def read(controller, name):
        with open(f"/sys/fs/cgroup/{controller}/docker/{identifier}/{name}") as file:
            return file.read().strip()

    assert read("memory", "memory.limit_in_bytes") == str(64 * 1024 * 1024)
    assert read("cpu", "cpu.cfs_quota_us") == "50000"
    assert read("cpu", "cpu.cfs_period_us") == "100000"
    assert read("cpu", "cpu.shares") == "512"
    assert read("cpuset", "cpuset.cpus") == "0"
    assert read("pids", "pids.max") == "77"


def test_running_out_of_memory_is_137_and_recorded(daemon):
    eat = "x=a; while true; do x=$x$x; done"
    done = daemon.docker(
        "run", "--name", "hog", "-m", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", eat, check=False
    )
    assert done.returncode == 137
    assert daemon.out("inspect", "-f", "{{.State.OOMKilled}}", "hog") == "true"


def test_read_only_and_tmpfs(daemon):
    script = "touch /x 2>/dev/null || echo no; touch /t/x && echo yes; stat -f -c %T /t"
    assert run(daemon, "--read-only", "--tmpfs", "/t:size=1m", "busybox", "sh", "-c", script) == "no\nyes\ntmpfs"


def test_init_reaps_and_forwards(daemon):
    assert run(daemon, "--init", "busybox", "sh", "-c", "cat /proc/1/comm").startswith(("docker-init", "tini"))


def test_ulimit_is_lowered(daemon):
    assert run(daemon, "--ulimit", "nofile=100:200", "busybox", "sh", "-c", "ulimit -n; ulimit -Hn") == "100\n200"


def test_devices_are_given_and_others_are_not(daemon):
    assert run(daemon, "--device", "/dev/fuse:/dev/myfuse:r", "busybox", "sh", "-c", "ls /dev/myfuse") == "/dev/myfuse"
    done = daemon.docker("run", "--rm", "busybox", "sh", "-c", "mknod /tmp/d b 254 0 && cat /tmp/d", check=False)
    assert "Operation not permitted" in done.stderr


def test_labels_and_restart_count_are_inspected(daemon):
    daemon.docker("create", "--name", "labelled", "-l", "a=b", "-l", "c", "busybox", "true")
    assert daemon.out("inspect", "-f", '{{index .Config.Labels "a"}}|{{index .Config.Labels "c"}}', "labelled") == "b|"


def test_restart_on_failure_goes_on_until_its_count(daemon):
    daemon.docker("run", "-d", "--name", "again", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo x; exit 3")
    deadline = time.monotonic() + 20
    while daemon.out("inspect", "-f", "{{.State.Status}}", "again") != "exited" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert daemon.out("inspect", "-f", "{{.RestartCount}} {{.State.ExitCode}}", "again") == "2 3"
    assert daemon.out("logs", "again") == "x\nx\nx"


def test_rm_removes_it_when_it_ends(daemon):
    daemon.docker("run", "--rm", "--name", "gone", "busybox", "true")
    assert daemon.out("ps", "-aq") == ""


def test_extra_hosts_and_dns(daemon):
    flags = ["--add-host", "db:10.1.2.3", "--dns", "9.9.9.9", "--dns-search", "example.test", "--dns-option", "ndots:2"]
    said = run(daemon, *flags, "busybox", "sh", "-c", "grep db /etc/hosts; grep -v ^# /etc/resolv.conf")
    assert "10.1.2.3\tdb" in said
    assert "nameserver 9.9.9.9" in said
    assert "search example.test" in said
    assert "options ndots:2" in said


def test_the_files_of_etc_can_be_edited_from_inside(daemon):
    script = "echo 1.2.3.4 other >> /etc/hosts && echo new > /etc/hostname && tail -1 /etc/hosts && cat /etc/hostname"
    assert run(daemon, "busybox", "sh", "-c", script) == "1.2.3.4 other\nnew"


def test_five_hundred_megabytes_in_and_out(daemon):
    line = (
        "head -c 500000000 /dev/zero | tr '\\0' x "
        "| docker run --rm -i busybox cat | sha256sum; "
        "head -c 500000000 /dev/zero | tr '\\0' x | sha256sum"
    )
    done = subprocess.run(["bash", "-c", line], env=daemon.environment, capture_output=True, text=True, timeout=110)
    first, second = done.stdout.split("\n")[:2]
    assert first == second
