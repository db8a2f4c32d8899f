"""`wherry update --publish --env --mount`: ports of a running container at once, the rest at its next start."""

import json
import socket
import urllib.error
import urllib.request

import pytest

SERVER = ("busybox", "sh", "-c", "echo hello > /index.html; exec httpd -f -h /")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answers(port, host="127.0.0.1"):
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=20) as answer:
            return answer.read() == b"hello\n"
    except (urllib.error.URLError, OSError):
        return False


def is_free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def inspect(daemon, name, what):
    return json.loads(daemon.out("inspect", "-f", f"{{{{json {what}}}}}", name))


@pytest.fixture
def web(daemon):
    daemon.docker("run", "-d", "--name", "web", *SERVER)
    daemon.docker("exec", "web", "sh", "-c", "until wget -qO- localhost; do :; done")
    return "web"


def test_a_port_is_published_while_its_container_runs(daemon, web):
    port, pid = free_port(), inspect(daemon, web, ".State.Pid")
    assert daemon.wherry("update", "--publish", f"127.0.0.1:{port}:80", web).stdout == "web\n"
    assert answers(port)
    assert daemon.out("port", web) == f"80/tcp -> 127.0.0.1:{port}"
    assert f"127.0.0.1:{port}->80/tcp" in daemon.out("ps", "--format", "{{.Ports}}")
    assert not is_free(port)
    assert inspect(daemon, web, ".HostConfig.PortBindings") == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
    }
    assert inspect(daemon, web, ".State.Pid") == pid
    daemon.docker("restart", "-t", "0", web)
    daemon.docker("exec", "web", "sh", "-c", "until wget -qO- localhost; do :; done")
    assert answers(port)


def test_a_port_is_given_back_while_its_container_runs(daemon, web):
    port = free_port()
    daemon.wherry("update", "-p", f"127.0.0.1:{port}:80", web)
    daemon.wherry("update", "--publish-rm", "80", web)
    assert not answers(port)
    assert is_free(port)
    assert daemon.out("port", web) == ""
    daemon.docker("run", "-d", "--name", "other", "-p", f"127.0.0.1:{port}:80", *SERVER)
    daemon.docker("exec", "other", "sh", "-c", "until wget -qO- localhost; do :; done")
    assert answers(port)
    daemon.wherry("update", "--publish-rm", f"127.0.0.1:{port}:80", "other")  # one that it was born with
    assert is_free(port)
    daemon.wherry("update", "-p", f"127.0.0.1:{port}:80", web)
    assert answers(port)


@pytest.mark.parametrize("kill", ["kill", "stop"])
def test_published_ports_outlive_the_daemon(daemon, web, kill):
    port, gone = free_port(), free_port()
    daemon.wherry("update", "-p", f"127.0.0.1:{port}:80", "-p", f"127.0.0.1:{gone}:80", web)
    daemon.wherry("update", "--publish-rm", f"{gone}:80", web)
    getattr(daemon, kill)()
    assert answers(port)
    assert not is_free(port)
    assert is_free(gone)
    daemon.start()
    assert answers(port)
    assert daemon.out("port", web) == f"80/tcp -> 127.0.0.1:{port}"
    daemon.docker("rm", "-f", web)
    assert is_free(port)


def test_what_cannot_be_published_changes_nothing(daemon, web):
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        flags = ("-p", f"127.0.0.1:{port}:80", "-p", f"127.0.0.1:{number}:81", "-e", "A=b")
        done = daemon.wherry("update", *flags, web, check=False)
    assert done.returncode == 1
    assert "address already in use" in done.stderr
    assert is_free(port)
    assert not answers(port)
    assert inspect(daemon, web, ".HostConfig.PortBindings") == {}
    assert inspect(daemon, web, ".Config.Env") is None
    assert "No such container: nosuch" in daemon.wherry("update", "-e", "A=b", "nosuch", check=False).stderr


def test_variables_count_from_the_next_start(daemon):
    daemon.docker("run", "-d", "--name", "box", "-e", "A=1", "-e", "B=2", "busybox", "sh", "-c", "env; sleep 1000")
    daemon.wherry("update", "-e", "A=changed", "-e", "C=3", "--env-rm", "B", "box")
    said = inspect(daemon, "box", ".Config.Env")
    assert [entry for entry in said if entry[0] in "ABC"] == ["A=changed", "C=3"]
    assert daemon.out("exec", "box", "sh", "-c", "echo $A $C") == "changed 3"
    daemon.docker("restart", "-t", "0", "box")
    daemon.docker("exec", "box", "true")
    daemon.docker("stop", "-t", "0", "box")
    second = daemon.out("logs", "box").split("A=1", 1)[1]
    assert "A=changed" in second
    assert "B=2" not in second.split("HOSTNAME", 1)[1]


def test_mounts_count_from_the_next_start(daemon, tmp_path):
    (tmp_path / "here").write_text("found\n")
    daemon.docker("run", "-d", "--name", "box", "-v", "/old", "busybox", "sleep", "1000")
    flags = ("--mount", f"type=bind,source={tmp_path},target=/bound", "--mount", "type=volume,source=vol,target=/vol")
    daemon.wherry("update", *flags, "--mount-rm", "/old", "box")
    assert [mount["Destination"] for mount in inspect(daemon, "box", ".Mounts")] == ["/old"]
    # A volume that is only waited for is in use.
    assert "volume is in use" in daemon.docker("volume", "rm", "vol", check=False).stderr
    daemon.restart()
    daemon.docker("restart", "-t", "0", "box")
    assert sorted(mount["Destination"] for mount in inspect(daemon, "box", ".Mounts")) == ["/bound", "/vol"]
    assert daemon.out("exec", "box", "cat", "/bound/here") == "found"
    assert daemon.out("exec", "box", "sh", "-c", "grep -c ' /old ' /proc/mounts", check=False) == "0"
    daemon.docker("stop", "-t", "0", "box")
    daemon.wherry("update", "--mount-rm", "/vol", "box")
    assert [mount["Destination"] for mount in inspect(daemon, "box", ".Mounts")] == ["/bound"]
    daemon.docker("volume", "rm", "vol")


WRONG = {
    ("--mount", "type=volume,target=/old"): "Duplicate mount point: /old",
    ("--mount", "type=bind,source=/nosuch,target=/x"): "bind source path does not exist: /nosuch",
    ("--mount-rm", "/nosuch"): "container box has no mount at /nosuch",
    ("--env-rm", "B", "--cpus", "99999"): "range of CPUs is from",
}


def test_wrong_wishes_are_refused(daemon):
    daemon.docker("create", "--name", "box", "-v", "/old", "busybox")
    before = daemon.out("inspect", "box")
    volumes = daemon.out("volume", "ls", "-q")
    for flags, words in WRONG.items():
        done = daemon.wherry("update", *flags, "box", check=False)
        assert words in done.stderr, flags
    assert daemon.out("inspect", "box") == before
    assert daemon.out("volume", "ls", "-q") == volumes


def test_limits_are_changed_in_the_same_call(daemon, web):
    daemon.wherry("update", "--cpu-shares", "512", "-e", "A=b", web)
    assert inspect(daemon, web, ".HostConfig.CpuShares") == 512
    assert "A=b" in inspect(daemon, web, ".Config.Env")


def test_a_container_that_publishes_nothing_remembers(daemon):
    daemon.docker("create", "--name", "made", *SERVER)
    port = free_port()
    daemon.wherry("update", "-p", f"127.0.0.1:{port}:80", "made")
    daemon.docker("start", "made")
    daemon.docker("exec", "made", "sh", "-c", "until wget -qO- localhost; do :; done")
    assert answers(port)
    daemon.docker("run", "-d", "--name", "hosts", "--network", "host", "busybox", "sleep", "1000")
    daemon.wherry("update", "-p", "1234:80", "hosts")
    assert inspect(daemon, "hosts", ".HostConfig.PortBindings") == {"80/tcp": [{"HostIp": "", "HostPort": "1234"}]}
    assert daemon.out("port", "hosts") == ""
