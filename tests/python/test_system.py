"""Images, volumes, networks and the engine itself by the library."""

import socket
import subprocess
import sys

import pytest

import wherry


def test_the_engine_says_who_it_is(client):
    client.ping()
    assert client.version().api_version == "1.51"
    assert client.version().raw["Components"]
    info = client.info()
    assert (info.operating_system, info.cpus > 0, info.memory_total > 0) != ("", True, True)
    assert client.df().layers_size > 0
    assert client.url.startswith("unix:///")


def test_images_come_are_named_and_go(client, busybox_tar):
    made = client.images.import_(iter([busybox_tar[:1000], busybox_tar[1000:]]), "mine:1", changes=["ENV A=1"])
    info = client.images.get("mine:1")
    assert (info.id, info.config.env, info.repo_tags) == (made, ("A=1",), ("mine:1",))
    client.images.tag("mine:1", "localhost:5000/yours/it:2")
    with client.images.save("mine:1", "localhost:5000/yours/it:2") as archive:
        data = archive.read()
    removed = client.images.remove("localhost:5000/yours/it:2") + client.images.remove("mine:1")
    assert [each.untagged for each in removed if each.untagged] == ["localhost:5000/yours/it:2", "mine:1"]
    assert not client.images.exists("mine:1")
    assert sorted(client.images.load(data)) == ["localhost:5000/yours/it:2", "mine:1"]
    assert {"mine:1"} <= {tag for image in client.images.list() for tag in image.repo_tags}
    assert client.images.history("mine:1")[0].comment == "Imported from -"
    assert [image.id for image in client.images.list(filters={"reference": "mine"})] == [made]
    client.images.remove(made, force=True)
    with pytest.raises(wherry.NotFound):
        client.images.get("mine:1")


def test_a_pull_that_fails_is_an_error_in_the_engines_words(client):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(wherry.ClientError, match="refused"):
        client.images.pull(f"localhost:{port}/none/such")
    with pytest.raises(wherry.ClientError, match="refused"):
        client.run(f"localhost:{port}/none/such")


def test_an_archive_that_is_none_is_refused(client):
    with pytest.raises(wherry.ClientError):
        client.images.load(b"no tar at all")


def test_volumes(client):
    made = client.volumes.create("data", labels={"a": "b"})
    assert (made.name, made.driver, made.labels) == ("data", "local", {"a": "b"})
    assert client.volumes.get("data") == client.volumes.list()[0] == made
    mounted = client.containers.create("busybox", volumes={"data": "/data"})
    with mounted, pytest.raises(wherry.Conflict, match="in use"):
        client.volumes.remove("data")
    client.volumes.remove("data")
    with pytest.raises(wherry.NotFound):
        client.volumes.get("data")


def test_networks(client):
    assert {network.name for network in client.networks.list()} == {"bridge", "host", "none"}
    assert client.networks.get("bridge").driver == "bridge"
    assert [each.name for each in client.networks.list(filters={"driver": "null"})] == ["none"]


def test_events_are_told_until_the_stream_is_left(client):
    with client.events(filters={"type": "container", "event": ["create", "destroy"]}) as events:
        client.containers.create("busybox", name="seen", labels={"a": "b"}).remove()
        found = iter(events)
        first, second = next(found), next(found)
    assert (first.action, second.action) == ("create", "destroy")
    assert (first.actor.attributes["name"], first.actor.attributes["a"]) == ("seen", "b")
    past = list(client.events(since=first.time, until=second.time.timestamp() + 1, filters={"container": "seen"}))
    assert [event.action for event in past] == ["create", "destroy"]


def test_nobody_there_is_unreachable(tmp_path):
    with wherry.connect(f"unix://{tmp_path}/none") as client, pytest.raises(wherry.Unreachable):
        client.ping()
    with pytest.raises(wherry.BadAddress):
        wherry.connect("gopher://x")


def test_a_silent_engine_times_out(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with wherry.connect(f"unix://{tmp_path}/s", timeout=0.05) as client, pytest.raises(wherry.TimedOut):
            client.info()


def test_the_environment_says_where(daemon_url, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///none")
    monkeypatch.setenv("WHERRY_HOST", daemon_url)
    with wherry.connect() as client:
        client.ping()


def test_what_a_session_makes_goes_with_it(client):
    with client.session() as scope:
        scope.run("busybox", ["sleep", "1000"], volumes={"data": "/data"})
        scope.volumes.create("own")
        client.containers.create("busybox", labels={"wherry.session": scope.id})
        other = client.containers.create("busybox")
        assert len(client.containers.list(all=True)) == 3
    assert [each.id for each in client.containers.list(all=True)] == [other.id]
    assert "own" not in {volume.name for volume in client.volumes.list()}
    scope.close()


PROGRAM = """
import sys, wherry
scope = wherry.connect(sys.argv[1]).session()
scope.run("busybox", ["sleep", "1000"])
print("runs", flush=True)
sys.stdin.read()
"""


def test_what_a_session_makes_goes_with_a_program_that_is_killed(client, daemon_url):
    words = [sys.executable, "-c", PROGRAM, daemon_url]
    with client.events(filters={"event": "destroy"}) as events:
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            assert program.stdout.readline() == b"runs\n"
            program.kill()
        assert next(iter(events)).actor.attributes["image"] == "busybox"
    assert client.containers.list(all=True) == ()
