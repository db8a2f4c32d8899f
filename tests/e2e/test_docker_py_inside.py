"""Docker's Python library again: what it copies, changes, measures, waits for, and what it says when it is refused."""

import contextlib
import io
import tarfile

import docker.errors
import pytest
from docker.utils.socket import demux_adaptor, frames_iter

IMAGE = "busybox:latest"


@pytest.fixture
def client(daemon):
    with contextlib.closing(daemon.client()) as client:
        yield client


@pytest.fixture
def box(client):
    return client.containers.run(
        IMAGE, "sleep 1000", detach=True, name="box", network_mode="none", mem_limit="128m", stop_signal="SIGKILL"
    )


def close(stream):
    """A hijacked connection, of which the library's stream lets go only."""
    connection = stream._sock
    stream.close()
    connection.close()


def archive(**files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def unpacked(chunks):
    return tarfile.open(fileobj=io.BytesIO(b"".join(chunks)))


def test_files_go_in_come_out_and_show_as_changes(box):
    assert box.put_archive("/tmp", archive(said=b"hello"))
    chunks, told = box.get_archive("/tmp/said")
    assert (told["name"], told["size"]) == ("said", 5)
    assert unpacked(chunks).extractfile("said").read() == b"hello"
    changes = {each["Path"]: each["Kind"] for each in box.diff()}
    assert changes["/tmp/said"] == 1
    assert "tmp/said" in unpacked(box.export()).getnames()
    with pytest.raises(docker.errors.NotFound):
        box.get_archive("/nosuch")
    with pytest.raises(docker.errors.NotFound):
        box.put_archive("/nosuch", archive(a=b""))


def test_a_container_becomes_an_image(client, box):
    box.exec_run(["sh", "-c", "echo kept > /kept"])
    image = box.commit("made", "of-box", message="why", author="who", changes=["ENV A=b"])
    try:
        assert image.tags == ["made:of-box"]
        assert image.history()[0]["Comment"] == "why"
        assert client.containers.run(image, ["sh", "-c", "cat /kept; echo $A"], remove=True) == b"kept\nb\n"
    finally:
        client.images.remove("made:of-box")


def test_limits_are_changed_and_use_is_measured(box):
    assert not box.update(mem_limit="64m", memswap_limit="64m", cpu_shares=512)["Warnings"]
    box.reload()
    assert (box.attrs["HostConfig"]["Memory"], box.attrs["HostConfig"]["CpuShares"]) == (67108864, 512)
    once = box.stats(stream=False)
    assert once["memory_stats"]["limit"] == 67108864
    assert once["name"] == "/box"
    several = box.stats(decode=True)
    assert [next(several)["pids_stats"]["current"] for _ in range(2)] == [1, 1]
    several.close()
    assert box.top(ps_args="-o pid,args")["Processes"][0][1] == "sleep 1000"


def test_waits_have_conditions(client, box):
    box.kill()
    assert box.wait(condition="not-running")["StatusCode"] == 137
    with pytest.raises(docker.errors.APIError) as refused:
        box.wait(condition="nosuch")
    assert refused.value.status_code == 400
    brief = client.containers.run(IMAGE, "true", detach=True, auto_remove=True, network_mode="none")
    with contextlib.suppress(docker.errors.NotFound):  # it may have gone by itself already
        assert brief.wait(condition="removed")["StatusCode"] == 0


def test_a_container_is_renamed_paused_resized_and_restarted(client):
    shell = client.containers.run(IMAGE, "sh", detach=True, tty=True, stdin_open=True, stop_signal="SIGKILL")
    shell.rename("shell")
    shell.resize(height=20, width=40)
    shell.pause()
    shell.reload()
    assert shell.status == "paused"
    shell.unpause()
    started = client.api.inspect_container("shell")["State"]["StartedAt"]
    shell.restart()
    assert client.api.inspect_container("shell")["State"]["StartedAt"] > started
    shell.stop()
    shell.start()
    assert client.containers.get("shell").status == "running"


def test_what_has_ended_is_pruned(client, box):
    client.containers.run(IMAGE, "true", name="ended", labels={"old": "yes"}, network_mode="none")
    done = client.containers.prune(filters={"label": ["old=yes"]})
    assert len(done["ContainersDeleted"]) == 1
    assert [one.name for one in client.containers.list(all=True)] == ["box"]


def test_health_restarts_and_disk_use_are_in_the_answers(client):
    checked = client.containers.run(
        IMAGE, "sleep 1000", detach=True, name="checked", restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
        healthcheck={"test": ["CMD", "true"], "interval": 50_000_000}, network_mode="none", stop_signal="SIGKILL",
    )  # fmt: skip
    while checked.health != "healthy":
        checked.reload()
    assert checked.attrs["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    used = client.df()
    assert [each["Names"] for each in used["Containers"]] == [["/checked"]]


def test_attach_replays_the_log_and_demultiplexes(client, box):
    client.api.remove_container("box", force=True)
    script = "echo out; echo err >&2; read x; echo more"
    talking = client.containers.run(IMAGE, ["sh", "-c", script], detach=True, stdin_open=True, name="talking")
    while len(talking.logs().splitlines()) < 2:
        pass
    # Not `attach(stream=True)`: the library never closes that connection.
    attached = talking.attach_socket(params={"stream": 1, "logs": 1, "stdout": 1, "stderr": 1})
    stream = (demux_adaptor(*frame) for frame in frames_iter(attached, tty=False))
    heard = [next(stream), next(stream)]
    assert sorted(heard, key=str) == sorted([(b"out\n", None), (None, b"err\n")], key=str)
    stdin = talking.attach_socket(params={"stdin": 1, "stream": 1})
    stdin._sock.sendall(b"\n")
    assert next(stream) == (b"more\n", None)
    close(stdin)
    assert list(stream) == []
    close(attached)
    assert talking.wait()["StatusCode"] == 0


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({"name": "b@d"}, docker.errors.APIError, "Invalid container name"),
        ({"network_mode": "nosuch"}, docker.errors.NotFound, "network nosuch not found"),
        ({"mem_limit": "1k"}, docker.errors.APIError, "Minimum memory limit"),
        ({"cap_add": ["NOSUCH"]}, docker.errors.APIError, "unknown capability"),
        ({"restart_policy": {"Name": "sometimes"}}, docker.errors.APIError, "invalid restart policy"),
        ({"volumes": ["relative:also"]}, docker.errors.APIError, "invalid mount path"),
        ({"command": "nosuch"}, docker.errors.APIError, "executable file not found"),
        ({"entrypoint": "/etc"}, docker.errors.APIError, "is a directory"),
    ],
)
def test_refusals_are_errors_of_the_right_kind(client, said, kind, words):
    with pytest.raises(kind) as refused:
        client.containers.run(IMAGE, **{"command": "true", "network_mode": "none", **said})
    assert words.lower() in str(refused.value).lower()


def test_two_of_one_name_are_in_conflict(client, box):
    with pytest.raises(docker.errors.APIError) as refused:
        client.containers.create(IMAGE, name="box")
    assert refused.value.status_code == 409
    assert 'The container name "/box" is already in use by container' in refused.value.explanation
    with pytest.raises(docker.errors.APIError) as running:
        box.remove()
    assert running.value.status_code == 409
