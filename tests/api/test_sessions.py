"""Streams of a whole daemon with a running container: attach, websocket, exec, logs, events, and all of it over TLS."""

import asyncio
import calendar
import hashlib
import json
import shutil
import subprocess
import time
from urllib.parse import quote

import aiohttp
import pytest

BUSYBOX = shutil.which("busybox")
DOCKER = shutil.which("docker")
MEGABYTES = 500

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox-static")


@pytest.fixture(scope="module")
def api(running_daemon, certificates):
    """A daemon with the image `busybox`, also on a TCP port with TLS in its own network namespace."""
    tls = ("--tlsverify", "--tlscacert", "ca.pem", "--tlscert", "server.pem", "--tlskey", "server-key.pem")
    files = [str(certificates / word) if word.endswith(".pem") else word for word in tls]
    with running_daemon("-H", "tcp://127.0.0.1:2376", *files) as api:
        api.load_busybox()
        yield api


def test_attach_can_begin_with_what_was_logged(api, container):
    ended = container("sh", "-c", "echo out; echo err >&2")
    assert json.loads(api.ask("POST", f"/containers/{ended}/wait")[1]) == {"StatusCode": 0}
    head, stream = api.talk(f"/containers/{ended}/attach?logs=1&stdout=1&stderr=1")
    assert b"multiplexed-stream" in head
    assert sorted([stream[:12], stream[12:]]) == [b"\x01\0\0\0\0\0\0\x04out\n", b"\x02\0\0\0\0\0\0\x04err\n"]
    assert b"raw-stream" in api.talk(f"/v1.41/containers/{ended}/attach?logs=1&stdout=1")[0]
    assert api.talk(f"/containers/{ended}/attach", upgrade=False)[0].startswith(b"HTTP/1.1 200 OK")


def test_logs_name_their_kind_of_stream(api, container):
    plain, terminal = container("sh", "-c", "echo out"), container("sh", "-c", "echo out", Tty=True)
    for each, version, kind in [
        (plain, "1.51", "multiplexed-stream"),
        (plain, "1.41", "raw-stream"),
        (terminal, "1.51", "raw-stream"),
    ]:
        api.ask("POST", f"/containers/{each}/wait")
        _, data, headers = api.ask("GET", f"/v{version}/containers/{each}/logs?stdout=1&tail=all")
        assert headers["Content-Type"] == f"application/vnd.docker.{kind}"
        assert data == (b"out\r\n" if each == terminal else b"\x01\0\0\0\0\0\0\x04out\n")


def test_an_exec_that_cannot_start_says_so_on_its_stream(api, container):
    living = container("sleep", "1000")
    told = api.ask("POST", f"/containers/{living}/exec", b'{"Cmd":["nosuch"],"AttachStdout":true}')[1]
    exec_id = json.loads(told)["Id"]
    head, stream = api.talk(f"/exec/{exec_id}/start", b"{}")
    assert head.startswith(b"HTTP/1.1 101 UPGRADED")
    assert stream[:4] == b"\x01\0\0\0"
    assert b'exec: "nosuch": executable file not found in $PATH' in stream
    assert json.loads(api.ask("GET", f"/exec/{exec_id}/json")[1])["ExitCode"] == 127
    status, words = api.words("POST", f"/exec/{exec_id}/start", b'{"Detach":true}')
    assert (status, words) == (409, f"exec command {exec_id} has already run")


async def test_a_websocket_carries_a_terminal(api, container):
    shell = container("sh", Tty=True, OpenStdin=True)
    url = f"http://x/containers/{shell}/attach/ws?stream=1&stdin=1&stdout=1"
    async with (
        asyncio.timeout(30),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(api.path))) as session,
        session.ws_connect(url) as messages,
    ):
        await messages.send_str("echo $((6*7)); exit\n")
        heard = b"".join([message.data async for message in messages if message.type is aiohttp.WSMsgType.BINARY])
    assert b"42\r\n" in heard


def test_events_tell_of_a_span_of_time(api, container):
    ended = container("sh", "-c", "exit 3")
    api.ask("POST", f"/containers/{ended}/wait")
    now = json.loads(api.ask("GET", f"/containers/{ended}/json")[1])["State"]["FinishedAt"]
    seconds = calendar.timegm(time.strptime(now[:19], "%Y-%m-%dT%H:%M:%S")) + 1
    filters = quote(json.dumps({"container": [ended], "type": ["container"]}))
    _, data, headers = api.ask("GET", f"/events?since=1&until={seconds}&filters={filters}")
    told = [json.loads(line) for line in data.splitlines()]
    assert [event["status"] for event in told] == ["create", "start", "die"]
    assert told[-1]["Actor"]["Attributes"]["exitCode"] == "3"
    assert {event["id"] for event in told} == {ended}
    assert headers["Content-Type"] == "application/json"


def docker(api, certificates, *words, data=b""):
    """The real command line over TLS, in the daemon's network namespace."""
    environment = {"DOCKER_HOST": "tcp://127.0.0.1:2376", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    tls = ("--tlsverify", "--tlscacert", "ca.pem", "--tlscert", "client.pem", "--tlskey", "client-key.pem")
    command = ["nsenter", "-t", str(api.pid), "-n", DOCKER, *tls, *words]
    done = subprocess.run(command, input=data, capture_output=True, cwd=certificates, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(DOCKER is None, reason="needs the docker command line")
def test_a_half_closed_tls_stream_loses_nothing(api, certificates):
    data = bytes(range(251)) * (MEGABYTES * 4178)
    digest = hashlib.sha256(data).hexdigest()
    run = ("run", "--rm", "-i", "--network", "none", "--log-driver", "none", "busybox")
    assert docker(api, certificates, *run, "sha256sum", data=data).split()[0].decode() == digest
    assert hashlib.sha256(docker(api, certificates, *run, "cat", data=data)).hexdigest() == digest
