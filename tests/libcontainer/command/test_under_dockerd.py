"""A real dockerd uses `wherry-runtime` as one of its runtimes."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

RUNTIME = Path(sys.executable).parent / "wherry-runtime"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not shutil.which("dockerd") or not shutil.which("docker"), reason="no dockerd is installed"),
]


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    """The docker CLI on a dockerd of our own, with an image of busybox."""
    # A socket's path has 108 bytes at most.
    base = Path(f"/tmp/wherry-dockerd-{os.getpid()}")
    base.mkdir()
    host = f"unix://{base}/s"
    flags = ["--data-root", f"{base}/data", "--exec-root", f"{base}/exec", "--pidfile", f"{base}/pid", "-H", host]
    flags += ["--bridge=none", "--iptables=false", "--add-runtime", f"wherry={RUNTIME}"]
    with (base / "log").open("wb") as log:
        daemon = subprocess.Popen(["dockerd", *flags], stdout=log, stderr=log)

    def run(*words, **rest):
        return subprocess.run(["docker", "-H", host, *words], capture_output=True, text=True, timeout=100, **rest)

    try:
        deadline = time.monotonic() + 60
        while run("version").returncode != 0:
            assert daemon.poll() is None, (base / "log").read_text()
            assert time.monotonic() < deadline, "dockerd does not answer"
            time.sleep(0.1)
        _import(host, tmp_path_factory.mktemp("image"))
        yield run
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
        shutil.rmtree(base, ignore_errors=True)


def _import(host, directory):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add("/usr/bin/busybox", "bin/busybox")
        for name in ("sh", "cat", "id", "grep", "hostname", "sleep", "true", "ps", "tty", "ls", "mount"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    command = ["docker", "-H", host, "import", "--change", "ENV PATH=/bin", "-", "box"]
    subprocess.run(command, input=data.getvalue(), check=True, capture_output=True, cwd=directory)


def test_a_container_runs_with_docker_s_defaults(docker):
    script = "grep -E 'CapEff|Seccomp:' /proc/self/status; id -u; echo err >&2; exit 7"
    done = docker("run", "--rm", "--runtime", "wherry", "box", "sh", "-c", script)
    assert done.returncode == 7, done.stderr
    assert done.stdout.split() == ["CapEff:", "00000000a80425fb", "Seccomp:", "2", "0"]
    assert done.stderr == "err\n"


def test_limits_mounts_and_users_are_honoured(docker, tmp_path):
    (tmp_path / "file").write_text("from the host")
    tmp_path.chmod(0o755)
    flags = ("-m", "64m", "--ulimit", "nofile=64:128", "-u", "5:6", "-v", f"{tmp_path}:/v:ro", "--tmpfs", "/t")
    script = "ulimit -n; id -u; id -g; cat /v/file; echo; (: > /v/x); mount | grep -c ' /t '"
    done = docker("run", "--rm", "--runtime", "wherry", *flags, "box", "sh", "-c", script)
    assert done.stdout.split("\n") == ["64", "5", "6", "from the host", "1", ""]
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("/bin", 126, 'exec: "/bin": is a directory'),
    ],
)
def test_a_command_that_cannot_run_has_docker_s_exit_code(docker, command, code, words):
    done = docker("run", "--rm", "--runtime", "wherry", "box", command)
    assert done.returncode == code
    assert words in done.stderr


def test_all_verbs_of_a_running_container_work(docker):
    name = docker("run", "-d", "--runtime", "wherry", "box", "sleep", "1000").stdout.strip()
    try:
        assert docker("exec", name, "sh", "-c", "ps | grep -c 'sleep 1000'; exit 5").returncode == 5
        assert "sleep 1000" in docker("top", name).stdout
        assert docker("pause", name).returncode == 0
        assert docker("inspect", "-f", "{{.State.Status}}", name).stdout == "paused\n"
        assert docker("unpause", name).returncode == 0
        assert docker("update", "-m", "64m", "--memory-swap", "64m", name).returncode == 0
        assert docker("stop", "-t", "1", name).returncode == 0
        assert docker("inspect", "-f", "{{.State.ExitCode}}", name).stdout == "137\n"
        assert docker("start", name).returncode == 0
        assert docker("kill", "-s", "KILL", name).returncode == 0
    finally:
        assert docker("rm", "-f", name).returncode == 0
