"""Containers by aiodocker, whose streams and websockets are asyncio's."""

import asyncio
import io
import tarfile

import aiodocker
import pytest


@pytest.fixture
async def docker(daemon):
    """A client of the shared daemon; nothing of it is left when the test ends."""
    async with aiodocker.Docker(url=f"unix://{daemon.socket}") as client:
        yield client
    await asyncio.sleep(0)


@pytest.fixture
async def box(docker):
    container = await docker.containers.run(
        {"Image": "busybox", "Cmd": ["sleep", "1000"], "StopSignal": "SIGKILL"}, name="box"
    )
    yield container
    await container.delete(force=True)


async def test_a_container_runs_to_its_end_and_is_read(docker):
    config = {"Image": "busybox", "Cmd": ["sh", "-c", "echo out; echo err >&2; exit 3"], "Labels": {"a": "b"}}
    container = await docker.containers.create(config, name="short")
    await container.start()
    assert (await container.wait())["StatusCode"] == 3
    assert await container.log(stdout=True) == ["out\n"]
    assert await container.log(stderr=True) == ["err\n"]
    shown = await container.show()
    assert (shown["State"]["ExitCode"], shown["Config"]["Labels"]) == (3, {"a": "b"})
    listed = await docker.containers.list(all=True, filters='{"label":["a=b"]}')
    assert [each.id for each in listed] == [container.id]
    await container.rename("renamed")
    assert (await docker.containers.get("renamed")).id == container.id
    await container.delete()
    with pytest.raises(aiodocker.DockerError) as missing:
        await docker.containers.get("renamed")
    assert missing.value.status == 404


async def test_logs_are_followed_while_they_are_written(docker):
    script = "i=0; while [ $i -lt 5 ]; do echo $i; i=$((i+1)); sleep 0.02; done"
    container = await docker.containers.run({"Image": "busybox", "Cmd": ["sh", "-c", script]})
    heard = [line async for line in container.log(stdout=True, follow=True)]
    assert "".join(heard) == "0\n1\n2\n3\n4\n"
    await container.delete(force=True)


async def test_an_attached_stream_talks_both_ways(docker):
    config = {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}
    container = await docker.containers.create(config)
    async with container.attach(stdin=True, stdout=True, stderr=True) as stream:
        await container.start()
        await stream.write_in(b"through\n")
        message = await stream.read_out()
        assert (message.stream, message.data) == (1, b"through\n")
    await container.delete(force=True)


async def test_a_terminal_by_websocket(docker):
    config = {"Image": "busybox", "Cmd": ["sh"], "OpenStdin": True, "Tty": True}
    container = await docker.containers.run(config)
    messages = await container.websocket(stdin=True, stdout=True, stderr=True, stream=True)
    await messages.send_bytes(b"echo $((6*7)); exit\n")
    heard = b""
    async for message in messages:
        heard += message.data if isinstance(message.data, bytes) else message.data.encode()
    assert b"42\r\n" in heard
    await messages.close()
    await container.delete(force=True)


async def test_execs_have_streams_sizes_and_codes(box):
    execution = await box.exec(["sh", "-c", "read x; echo got $x; echo bad >&2; exit 5"], stdin=True)
    async with execution.start(detach=False) as stream:
        await stream.write_in(b"it\n")
        heard = {1: b"", 2: b""}
        while message := await stream.read_out():
            heard[message.stream] += message.data
    assert heard == {1: b"got it\n", 2: b"bad\n"}
    assert (await execution.inspect())["ExitCode"] == 5
    terminal = await box.exec(["sh"], tty=True, stdin=True)
    async with terminal.start(detach=False) as stream:
        await stream.write_in(b"echo ready\n")
        heard = b""
        while b"ready\r\n" not in heard:
            heard += (await stream.read_out()).data
        await terminal.resize(w=77, h=33)
        await stream.write_in(b"stty size; exit\n")
        while b"33 77" not in heard:
            heard += (await stream.read_out()).data


async def test_the_verbs_of_a_life(docker, box):
    await box.pause()
    assert (await box.show())["State"]["Paused"]
    await box.unpause()
    await box.restart(timeout=0)
    assert (await box.show())["State"]["Running"]
    assert "sleep 1000" in str(await docker._query_json(f"containers/{box.id}/top"))
    await box.kill(signal="KILL")
    assert (await box.wait())["StatusCode"] == 137
    await box.start()
    await box.stop(timeout=0)
    assert (await box.show())["State"]["Status"] == "exited"


async def test_events_come_as_they_happen(docker):
    events = docker.events.subscribe()
    container = await docker.containers.run({"Image": "busybox", "Cmd": ["true"]})
    seen = []
    while "die" not in seen:
        event = await asyncio.wait_for(events.get(), 20)
        if event["Type"] == "container" and event["Actor"]["ID"] == container.id:
            seen.append(event["Action"])
    assert seen == ["create", "start", "die"]
    await docker.events.stop()
    await container.delete(force=True)


async def test_files_go_in_and_come_out(docker, box):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("said")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    await box.put_archive("/tmp", archive.getvalue())
    got = await box.get_archive("/tmp/said")
    assert got.extractfile("said").read() == b"hello"


async def test_the_engine_and_volumes_answer(docker):
    assert (await docker.version())["ApiVersion"] == "1.51"
    info = await docker.system.info()
    assert info["OSType"] == "linux"
    volume = await docker.volumes.create({"Name": "kept"})
    assert (await volume.show())["Name"] == "kept"
    await volume.delete()


@pytest.mark.parametrize(
    ("config", "status", "words"),
    [
        ({"Image": "nosuch"}, 404, "No such image: nosuch"),
        ({"Image": "busybox", "HostConfig": {"Memory": 1}}, 400, "Minimum memory limit allowed is 6MB"),
        ({"Image": "busybox", "Cmd": 7}, 400, "invalid JSON"),
        ({"Image": "busybox", "HostConfig": {"NetworkMode": "nosuch"}}, 404, "network nosuch not found"),
    ],
)
async def test_refusals_have_status_and_words(docker, config, status, words):
    with pytest.raises(aiodocker.DockerError) as refused:
        await (await docker.containers.create(config)).start()
    assert refused.value.status == status
    assert words in refused.value.message
    for left in await docker.containers.list(all=True):
        await left.delete(force=True)
