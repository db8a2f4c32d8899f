"""Docker's Python library against a real daemon: lists, streams, sockets, as programs use them."""

import contextlib
import io
import tarfile
import threading

import docker.errors
import pytest
from docker.types import LogConfig, Mount, Ulimit
from docker.utils.socket import frames_iter, read

IMAGE = "busybox:latest"


@pytest.fixture
def client(daemon):
    with contextlib.closing(daemon.client()) as client:
        yield client


@pytest.fixture
def box(client):
    """A container that does nothing for long."""
    return client.containers.run(IMAGE, "sleep 1000", detach=True, name="box", network_mode="none", labels={"a": "b"})


@contextlib.contextmanager
def closed_after(stream):
    """Close a hijacked connection too; the stream that the library gives lets go of it only."""
    connection = stream._sock
    try:
        yield
    finally:
        stream.close()
        connection.close()


def test_lists_and_filters(client, box):
    assert [one.name for one in client.containers.list()] == ["box"]
    assert client.containers.list(filters={"label": "a=b", "status": "running"}) == [box]
    assert client.containers.list(filters={"name": "nosuch"}) == []
    assert client.containers.get(box.short_id) == box
    assert (box.status, box.labels, box.image.tags) == ("created", {"a": "b"}, [IMAGE])
    box.reload()
    assert box.status == "running"
    assert [image.tags for image in client.images.list(name="busybox")] == [[IMAGE]]
    volume = client.volumes.create("data", labels={"c": "d"})
    assert client.volumes.list(filters={"label": "c=d"}) == [volume]
    assert {network.name for network in client.networks.list()} == {"bridge", "host", "none"}
    assert client.networks.get("none").attrs["Driver"] == "null"


def test_run_gives_the_output_and_raises_for_an_exit_code(client):
    assert client.containers.run(IMAGE, "echo hello", remove=True, network_mode="none") == b"hello\n"
    with pytest.raises(docker.errors.ContainerError) as failed:
        client.containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 3"], remove=True, network_mode="none")
    assert (failed.value.exit_status, failed.value.stderr) == (3, b"why\n")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nosuch")
    with pytest.raises(docker.errors.NotFound, match="No such container: nosuch"):
        client.containers.get("nosuch")
    with pytest.raises(docker.errors.APIError, match="executable file not found") as refused:
        client.containers.run(IMAGE, "nosuch", network_mode="none", remove=True)
    assert refused.value.status_code == 400


def test_exec_run_in_all_its_ways(box):
    script = ["sh", "-c", "echo out; echo err >&2; exit 4"]
    assert box.exec_run(script, demux=True) == (4, (b"out\n", b"err\n"))
    together = box.exec_run(script)
    assert together.exit_code == 4
    assert sorted(together.output.splitlines()) == [b"err", b"out"]
    assert b"".join(box.exec_run("echo streamed", stream=True).output) == b"streamed\n"
    pairs = list(box.exec_run(script, stream=True, demux=True).output)
    assert b"".join(out or b"" for out, _ in pairs) == b"out\n"
    assert b"".join(err or b"" for _, err in pairs) == b"err\n"
    assert box.exec_run("tty", tty=True).output == b"/dev/pts/0\r\n"
    assert box.exec_run(["sh", "-c", "echo $A; pwd; id -u"], environment={"A": "b"}, workdir="/tmp", user="1000") == (
        0, b"b\n/tmp\n1000\n",
    )  # fmt: skip
    assert not box.exec_run("true", detach=True).output


def test_exec_by_socket_talks_both_ways(client, box):
    exec_id = client.api.exec_create(box.id, "cat", stdin=True)["Id"]
    stream = client.api.exec_start(exec_id, socket=True)
    with closed_after(stream):
        stream._sock.sendall(b"there and back\n")
        assert next(frames_iter(stream, tty=False)) == (1, b"there and back\n")
    assert client.api.exec_inspect(exec_id)["ProcessConfig"]["entrypoint"] == "cat"


def test_attach_socket_before_the_start_misses_nothing(client):
    box = client.containers.create(IMAGE, "cat", stdin_open=True, network_mode="none")
    stream = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    with closed_after(stream):
        box.start()
        stream._sock.sendall(b"line\n")
        assert next(frames_iter(stream, tty=False)) == (1, b"line\n")
    # The library asks for StdinOnce: who attached first and leaves closes the container's input.
    assert box.wait()["StatusCode"] == 0


def test_attach_socket_of_a_terminal_is_raw(client):
    box = client.containers.create(IMAGE, ["sh", "-c", "read x; echo got $x"], stdin_open=True, tty=True,
                                   network_mode="none")  # fmt: skip
    stream = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    with closed_after(stream):
        box.start()
        box.resize(33, 44)
        stream._sock.sendall(b"that\n")
        heard = b""
        while b"got that" not in heard:
            piece = read(stream)
            assert piece, heard
            heard += piece
    assert box.wait()["StatusCode"] == 0


def test_logs_of_all_kinds(client):
    script = ["sh", "-c", "echo two >&2; echo one; echo three"]
    box = client.containers.run(IMAGE, script, detach=True, network_mode="none")
    assert box.wait()["StatusCode"] == 0
    assert sorted(box.logs().splitlines()) == [b"one", b"three", b"two"]
    assert box.logs(stderr=False) == b"one\nthree\n"
    assert box.logs(stdout=False) == b"two\n"
    assert b"T" in box.logs(stderr=False, timestamps=True).split()[0]
    only_out = client.containers.run(IMAGE, ["sh", "-c", "echo one; echo two"], detach=True, network_mode="none")
    only_out.wait()
    assert only_out.logs(tail=1) == b"two\n"
    assert b"".join(box.logs(stream=True, stderr=False)) == b"one\nthree\n"


def test_followed_logs_come_while_they_are_written_and_end_with_the_container(client):
    script = ["sh", "-c", "echo ready; read x; echo $x"]
    box = client.containers.create(IMAGE, script, stdin_open=True, network_mode="none")
    stream = box.attach_socket(params={"stdin": 1, "stream": 1})
    with closed_after(stream):
        box.start()
        following = box.logs(stream=True, follow=True)
        assert next(following) == b"ready\n"
        stream._sock.sendall(b"more\n")
        assert list(following) == [b"more\n"]


def test_events_are_heard_as_they_happen(client):
    heard, ready = [], threading.Event()

    def listen(events):
        ready.set()
        for event in events:
            heard.append(event["Action"])
            if event["Action"] == "destroy":
                return

    # The answer's head has come when this returns, and so the subscription stands.
    events = client.events(decode=True, filters={"type": "container"})
    listener = threading.Thread(target=listen, args=(events,))
    listener.start()
    ready.wait()
    client.containers.run(IMAGE, "true", remove=True, network_mode="none", name="seen")
    listener.join(20)
    assert not listener.is_alive()
    assert [action for action in heard if action != "attach"] == ["create", "start", "die", "destroy"]
    past = client.events(decode=True, since=0, until=2**33 - 1, filters={"container": "seen", "event": "die"})
    event = next(past)
    past.close()
    assert (event["Actor"]["Attributes"]["name"], event["Actor"]["Attributes"]["exitCode"]) == ("seen", "0")


def test_life_by_the_library(client, box):
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.rename("other")
    assert box.top()["Processes"][0][-1] == "sleep 1000"
    box.restart(timeout=0)
    box.kill("SIGKILL")
    assert box.wait()["StatusCode"] == 137
    box.start()
    box.stop(timeout=0)
    box.remove()
    assert client.containers.list(all=True) == []


def test_options_are_in_force(client, daemon):
    client.volumes.create("data")
    box = client.containers.run(
        IMAGE,
        "sleep 1000",
        detach=True,
        network_mode="none",
        environment=["A=b"],
        mem_limit="64m",
        nano_cpus=500_000_000,
        pids_limit=50,
        ulimits=[Ulimit(name="nofile", soft=64, hard=128)],
        mounts=[Mount("/data", "data", type="volume"), Mount("/t", None, type="tmpfs", tmpfs_size=1 << 20)],
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m"}),
        read_only=True,
        cap_drop=["ALL"],
        hostname="named",
        tmpfs={"/scratch": "size=1m"},
    )
    told = box.exec_run(
        ["sh", "-c", "hostname; ulimit -n; echo $A; grep -c ' /data \\| /t \\| /scratch ' /proc/mounts"]
    )
    assert told.output.split() == [b"named", b"64", b"b", b"3"]
    assert box.exec_run("touch /x").exit_code == 1
    assert box.attrs["HostConfig"]["Memory"] == 64 << 20


def test_images_are_saved_loaded_and_tagged(client):
    image = client.images.get(IMAGE)
    assert image.tag("copy", "1")
    archive = b"".join(client.images.get("copy:1").save(named="copy:1"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert "manifest.json" in tar.getnames()
    client.images.remove("copy:1")
    assert [one.id for one in client.images.load(archive)] == [image.id]
    client.images.remove("copy:1")
    assert image.history()[0]["Id"] == image.id


def test_the_engine_tells_of_itself(client):
    assert client.ping() is True
    assert client.version()["ApiVersion"] == "1.51"
    assert client.info()["OSType"] == "linux"
    assert set(client.df()) >= {"Images", "Containers", "Volumes", "LayersSize"}
