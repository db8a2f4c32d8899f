"""Containers by the library: each verb against a real daemon."""

import signal
import threading
from datetime import UTC, datetime

import pytest

import wherry

SLEEP = ["sleep", "1000"]
# Reads lines until its input ends.
ECHO = ["sh", "-c", "while read line; do echo got $line; done"]


def test_what_a_command_writes_and_its_exit_code_come_back(client):
    done = client.call("busybox", ["sh", "-c", "echo out; echo err >&2; cat"], input=b"in")
    assert (done.exit_code, done.stdout, done.stderr) == (0, b"out\nin", b"err\n")
    assert done.text == "out\nin"
    assert client.containers.list(all=True) == ()


def test_another_exit_code_is_an_error_with_what_was_written(client):
    with pytest.raises(wherry.ContainerError, match=r"exit code 3: no$") as caught:
        client.call("busybox", ["sh", "-c", "echo yes; echo no >&2; exit 3"])
    assert (caught.value.exit_code, caught.value.stdout, caught.value.stderr) == (3, b"yes\n", b"no\n")
    assert client.call("busybox", "false", check=False).exit_code == 1
    assert client.containers.list(all=True) == ()


def test_a_large_input_and_output_pass_at_the_same_time(client):
    data = bytes(range(256)) * 20_000
    assert client.call("busybox", "cat", input=data).stdout == data


def test_a_call_that_takes_too_long_is_killed(client):
    with pytest.raises(wherry.TimedOut):
        client.call("busybox", SLEEP, timeout=0.2)
    assert client.containers.list(all=True) == ()


def test_the_life_of_a_container(client):
    container = client.containers.create("busybox", SLEEP, name="long", labels={"a": "b"})
    assert container.inspect().state.status == "created"
    container.start()
    container.start()
    info = container.inspect()
    assert (info.name, info.state.running, info.config.labels, info.config.command) == (
        "long", True, {"a": "b"}, ("sleep", "1000"),
    )  # fmt: skip
    assert info.state.started_at <= datetime.now(UTC)
    assert info.raw["Config"]["Image"] == "busybox"
    container.pause()
    assert container.inspect().state.paused
    container.unpause()
    container.rename("longer")
    assert client.containers.get("longer").id == container.id
    container.restart(0)
    container.stop(0)
    assert container.wait() == 137
    with pytest.raises(wherry.Conflict):
        container.kill(signal.SIGTERM)
    container.remove()
    with pytest.raises(wherry.NotFound, match="No such container"):
        container.inspect()


def test_leaving_the_with_removes_it(client):
    with client.run("busybox", SLEEP) as container:
        assert [each.id for each in client.containers.list()] == [container.id]
    assert client.containers.list(all=True) == ()
    with client.run("busybox", SLEEP) as container:
        container.remove(force=True)
    with client.run("busybox", SLEEP, auto_remove=True) as container:
        container.kill()


def test_what_cannot_start_is_an_error_and_leaves_nothing(client):
    with pytest.raises(wherry.InvalidParameter, match="executable file not found"):
        client.run("busybox", "no-such-program")
    with pytest.raises(wherry.NotFound, match="No such image"):
        client.run("no-such-image", pull="never")
    assert client.containers.list(all=True) == ()


def test_options_reach_the_container(client):
    options = wherry.RunOptions(
        env={"A": "1"}, workdir="/tmp", user="1000:1000", hostname="ferry", memory="64m", cpus=0.5, pids_limit=20,
        volumes={"data": "/data:ro"}, tmpfs=["/scratch"], read_only=True, ulimits={"nofile": (100, 200)},
        sysctls={"net.ipv4.ip_forward": "0"}, cap_drop=["ALL"], cap_add=["NET_RAW"], init=True, stop_timeout=3,
        restart="on-failure:2", extra_hosts={"other": "10.1.2.3"}, shm_size="1m", stop_signal="INT",
        devices=["/dev/null:/dev/nothing:r"], log_options={"max-size": "1m"}, entrypoint=["sh", "-c"],
        config={"Domainname": "example"}, host_config={"OomScoreAdj": 100},
    )  # fmt: skip
    said = "echo $A $PWD $(id -u) $(hostname) $(ulimit -n) $(ls /dev/nothing /data -d)"
    assert (
        client.call("busybox", [said], check=False, **options).stdout == b"1 /tmp 1000 ferry 100 /data /dev/nothing\n"
    )
    with client.containers.create("busybox", [said], **options) as container:
        host = container.inspect().raw["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 20)
    assert (host["RestartPolicy"], host["OomScoreAdj"]) == ({"Name": "on-failure", "MaximumRetryCount": 2}, 100)


def test_a_published_port_is_reached_when_it_is_ready(client):
    serve = ["sh", "-c", "echo hello > /index.html; exec httpd -f -h /"]
    with client.run("busybox", serve, ports={80: [("127.0.0.1", 0), ("127.0.0.2", 0)]}) as web:
        web.wait_ready(http="/index.html", timeout=20)
        assert web.url(80).startswith("http://127.0.0.1:")
        assert {binding.host_ip for binding in web.ports()["80/tcp"]} == {"127.0.0.1", "127.0.0.2"}
        web.wait_ready(port=80)
    with client.run("busybox", serve) as web:
        web.wait_ready(http="/index.html", timeout=20)
        assert web.address(80) == (web.inspect().ip_address, 80)


def test_waiting_for_what_never_comes_says_why(client):
    with client.run("busybox", ["sh", "-c", "echo starting; sleep 1000"]) as container:
        container.wait_ready(log=r"^start\w+")
        with pytest.raises(wherry.NotReady, match=r"has not written 'ready' after 0.1 seconds; it said:\nstarting"):
            container.wait_ready(log="ready", timeout=0.1)
        with pytest.raises(wherry.NotReady, match="does not accept connections on port 99"):
            container.wait_ready(port=99, timeout=0.1)
    with client.run("busybox", ["sh", "-c", "echo broken; exit 4"]) as container:
        container.wait()
        with pytest.raises(wherry.NotReady, match=r"is exited, exit code 4; it said:\nbroken"):
            container.wait_ready(port=80)


def test_a_health_check_makes_it_ready(client):
    check = wherry.HealthCheck(test="test -e /tmp/well", interval=0.1, start_interval=0.1, start_period=5)
    with client.run("busybox", ["sh", "-c", "touch /tmp/well; sleep 1000"], health=check) as container:
        container.wait_ready(healthy=True)
        assert container.inspect().state.health.status == "healthy"


def test_logs_so_far_and_as_they_come(client):
    with client.run("busybox", ECHO, stdin=True) as container, container.attach() as session:
        session.write(b"one\n")
        assert session.readline() == b"got one\n"
        with container.follow() as stream:
            lines = stream.lines()
            assert next(lines) == wherry.Line("stdout", "got one")
            session.write(b"two\n")
            assert next(lines).text == "got two"
        assert container.logs(tail=1).stdout == b"got two\n"
        assert container.logs(since=datetime.now(UTC)).output == b""
        session.close_stdin()
        assert container.wait() == 0
        assert session.read() == b"got two\n"
        assert session.read() == b""


def test_a_stream_is_left_from_another_thread(client):
    with client.run("busybox", SLEEP) as container, container.follow() as stream:
        closer = threading.Timer(0.1, stream.close)
        closer.start()
        assert list(stream) == []
        closer.join()


def test_exec_with_input_environment_and_exit_code(client):
    with client.run("busybox", SLEEP) as container:
        done = container.exec(["sh", "-c", "cat; echo $A $(id -u) $PWD >&2; exit 5"], input=b"x" * 300_000,
                              env={"A": "1"}, user="1000", workdir="/tmp")  # fmt: skip
        assert (done.exit_code, len(done.stdout), done.stderr) == (5, 300_000, b"1 1000 /tmp\n")
        with pytest.raises(wherry.ContainerError, match="'false' in container"):
            container.exec("false", check=True)
        with pytest.raises(wherry.TimedOut):
            container.exec(SLEEP, timeout=0.1)
        container.exec_detached("touch /tmp/there")
        container.exec(["sh", "-c", "until test -e /tmp/there; do :; done"], timeout=10, check=True)


def test_a_session_on_a_terminal_has_the_manners_of_a_file(client):
    with client.run("busybox", SLEEP) as container, container.exec_session("sh", tty=True, size=(30, 90)) as shell:
        shell.read_until(b"# ")
        shell.write(b"stty size\n")
        assert shell.read_until(b"30 90\r\n").endswith(b"\r\n30 90\r\n")
        shell.resize(40, 100)
        shell.write(b"stty size\n")
        assert shell.read_until(b"40 100\r\n").endswith(b"\r\n40 100\r\n")
        assert shell.exit_code() is None
        shell.write(b"exit 7\n")
        shell.read()
        assert shell.exit_code() == 7
        assert not shell.closed
    assert shell.closed


def test_a_session_tells_the_streams_apart(client):
    words = ["sh", "-c", "echo out; read x; echo err >&2"]
    with client.run("busybox", SLEEP) as container, container.exec_session(words) as session:
        assert session.read_chunk() == wherry.Chunk("stdout", b"out\n")
        session.write(b"\n")
        assert list(session) == [wherry.Chunk("stderr", b"err\n")]
        assert session.exit_code() == 0


def test_processes_are_rows(client):
    with client.run("busybox", SLEEP) as container:
        assert container.top("-o pid,args").as_dicts()[0]["COMMAND"] == "sleep 1000"
        assert container.top().titles[0] == "UID"


def test_lists_are_filtered(client):
    with (
        client.run("busybox", SLEEP, labels={"kind": "a"}, name="one"),
        client.containers.create("busybox", name="two"),
    ):
        assert [each.name for each in client.containers.list()] == ["one"]
        assert {each.name for each in client.containers.list(all=True)} == {"one", "two"}
        assert [each.name for each in client.containers.list(all=True, filters={"status": ["created"]})] == ["two"]
        assert [each.state for each in client.containers.list(filters={"label": "kind=a"})] == ["running"]


def test_each_refusal_is_a_class(client):
    with pytest.raises(wherry.InvalidParameter):
        client.containers.create("busybox", memory=1)
    with client.containers.create("busybox", name="taken"):
        with pytest.raises(wherry.Conflict, match="already in use") as caught:
            client.containers.create("busybox", name="taken")
        assert caught.value.status == 409
        assert isinstance(caught.value, wherry.ApiError)
    with pytest.raises(ValueError, match="no size"):
        client.containers.create("busybox", memory="much")


def test_what_a_container_uses(client):
    with client.run("busybox", ["sh", "-c", "while :; do :; done"], memory="64m") as container:
        with container.watch_stats() as readings:
            found = iter(readings)
            next(found)
            reading = next(found)
        assert reading.cpu_percent > 1
        assert (reading.memory_stats.limit, reading.pids_stats.current >= 1) == (64 << 20, True)
        assert 0 < reading.memory_used < 64 << 20
        once = container.stats(one_shot=True)
        assert (once.name, once.cpu_percent) == (container.inspect().name, 0)


def test_limits_are_changed_while_it_runs(client):
    with client.run("busybox", SLEEP, memory="64m", memory_swap="128m") as container:
        assert container.update(memory="32m", cpus=0.5, restart="on-failure:3") == ()
        host = container.inspect().raw["HostConfig"]
        assert (host["Memory"], host["NanoCpus"]) == (32 << 20, 500_000_000)
        assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
