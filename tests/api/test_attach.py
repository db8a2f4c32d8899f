"""Attached clients of every kind: those that come late, that are slow, that stall, that vanish, that want nothing."""

import asyncio
import hashlib
import json
import random
import shutil
import socket
import threading

import aiohttp
import pytest

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox-static")

EVERYTHING = "stream=1&logs=1&stdout=1&stderr=1"
LINES = 6000
COUNT = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done"
# Lines of several log records each, both streams, pieces that end anywhere, a last line without an end.
LONG = "i=0; while [ $i -lt 60 ]; do head -c 9000 /dev/zero | tr '\\0' a; head -c 21000 /dev/zero | tr '\\0' b; " \
       "echo $i; i=$((i+1)); done; echo -n end"  # fmt: skip


@pytest.fixture(scope="module")
def api(running_daemon):
    with running_daemon() as api:
        api.load_busybox()
        yield api


def unframe(data):
    """The streams of a multiplexed answer, by their number."""
    streams = {1: [], 2: []}
    start = 0
    while start < len(data):
        number, length = data[start], int.from_bytes(data[start + 4 : start + 8], "big")
        streams[number].append(data[start + 8 : start + 8 + length])
        start += 8 + length
    return {number: b"".join(pieces) for number, pieces in streams.items()}


def read(client, want):
    data = b""
    while want not in data:
        piece = client.recv(65536)
        assert piece, data
        data += piece
    return data


def attach_while_it_runs(api, name, last, count=12):
    """So many clients, each from another moment on; what each of them got up to the `last` words, and to the end."""
    answers = [None] * count
    everybody = threading.Barrier(count + 1)

    def attach(number):
        client, _ = api.open_stream(f"/containers/{name}/attach?{EVERYTHING}&stdin=1")
        with client:
            answers[number] = read(client, last)
            everybody.wait(30)
            answers[number] += read_all(client)

    threads = [threading.Thread(target=attach, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
        # Not a wait for anything: it spreads the moments at which they come.
        threading.Event().wait(random.uniform(0, 0.01))
    everybody.wait(30)
    client, _ = api.open_stream(f"/containers/{name}/attach?stream=1&stdin=1")
    with client:
        client.sendall(b"\n")
        for thread in threads:
            thread.join()
    return answers


@pytest.mark.parametrize("tty", [False, True])
def test_what_was_logged_and_what_comes_are_joined_without_a_gap(api, container, tty):
    counting = container("sh", "-c", f"{COUNT}; read x", Tty=tty, OpenStdin=True)
    answers = attach_while_it_runs(api, counting, b"line %d" % (LINES - 1))
    expected = [b"line %d" % number for number in range(LINES)]
    for answer in answers:
        said = answer if tty else unframe(answer)[1]
        assert said.splitlines()[:LINES] == expected


def test_long_lines_are_joined_as_well(api, container):
    writing = container("sh", "-c", f"{LONG}; read x", OpenStdin=True)
    answers = attach_while_it_runs(api, writing, b"end")
    expected = b"".join(b"a" * 9000 + b"b" * 21000 + b"%d\n" % number for number in range(60)) + b"end"
    for answer in answers:
        assert unframe(answer)[1] == expected


def test_a_prompt_that_no_log_has_is_seen_once_by_who_comes_late(api, container):
    asking = container("sh", "-c", "echo first; printf 'name? '; read x; echo hello $x", OpenStdin=True)
    first, _ = api.open_stream(f"/containers/{asking}/attach?{EVERYTHING}")
    second, _ = api.open_stream(f"/containers/{asking}/attach?{EVERYTHING}&stdin=1")
    with first, second:
        heard = b""
        while b"name? " not in heard:
            heard += second.recv(65536)
        second.sendall(b"you\n")
        heard += read_all(second)
        assert unframe(heard)[1] == b"first\nname? hello you\n"
        assert unframe(read_all(first))[1] == b"first\nname? hello you\n"


def read_all(client):
    pieces = []
    while piece := client.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def test_who_attaches_with_logs_before_the_start_sees_the_last_run_and_the_next(api, container):
    again = container("sh", "-c", "echo run")
    api.told("POST", f"/containers/{again}/wait")
    client, _ = api.open_stream(f"/containers/{again}/attach?{EVERYTHING}")
    with client:
        assert unframe(client.recv(65536))[1] == b"run\n"
        assert api.ask("POST", f"/containers/{again}/start")[0] == 204
        assert unframe(read_all(client))[1] == b"run\n"


def test_what_a_run_says_that_ends_before_its_client_has_read_the_log_is_not_lost(api, container):
    """The client reads nothing while it is started and ends: there is more in the log than its socket takes."""
    again = container("sh", "-c", "yes 0123456789abcdef | head -n 200000; echo end of run")
    api.told("POST", f"/containers/{again}/wait")
    client, _ = api.open_stream(f"/containers/{again}/attach?{EVERYTHING}")
    with client:
        assert api.ask("POST", f"/containers/{again}/start")[0] == 204
        assert api.told("POST", f"/containers/{again}/wait")["StatusCode"] == 0
        lines = unframe(read_all(client))[1].splitlines()
    assert lines.count(b"end of run") == 2
    assert len(lines) == 2 * 200_001


@pytest.mark.parametrize("query", ["", "stream=1", "logs=1", "stream=1&logs=1", "stream=1&stdin=1"])
def test_who_wants_nothing_is_not_kept(api, container, query):
    living = container("sleep", "1000")
    assert api.talk(f"/containers/{living}/attach?{query}")[1] == b""


def test_who_is_still_reading_the_log_when_the_container_ends_loses_nothing(api, container):
    count = 20_000_000
    writing = container("sh", "-c", f"yes {'x' * 2000} | head -c {count}; read x; echo -n over", OpenStdin=True)
    first, _ = api.open_stream(f"/containers/{writing}/attach?{EVERYTHING}&stdin=1")
    with first:
        got = 0
        while got < count:
            got += len(first.recv(1 << 20))
        late, _ = api.open_stream(f"/containers/{writing}/attach?{EVERYTHING}")
        with late:
            begun = late.recv(100)
            first.sendall(b"\n")
            assert api.told("POST", f"/containers/{writing}/wait") == {"StatusCode": 0}
            said = unframe(begun + read_all(late))[1]
    assert len(said) == count + len("over")
    assert said.endswith(b"over")


def test_a_client_that_stalls_stops_nobody_and_loses_nothing(api, container):
    count = 40_000_000
    writing = container("sh", "-c", f"yes 0123456789 | head -c {count}", start=False)
    client, _ = api.open_stream(f"/containers/{writing}/attach?stream=1&stdout=1&stderr=1")
    with client:
        api.told("POST", f"/containers/{writing}/start")
        assert api.told("POST", f"/containers/{writing}/wait") == {"StatusCode": 0}, "it ends although nobody reads"
        said = unframe(read_all(client))[1]
    assert hashlib.sha256(said).digest() == hashlib.sha256((b"0123456789\n" * (count // 11 + 1))[:count]).digest()


def test_a_client_that_stalls_for_longer_than_there_is_room_loses_nothing_either(api, container):
    count = 90_000_000
    writing = container("sh", "-c", f"yes {'x' * 2000} | head -c {count}", start=False)
    client, _ = api.open_stream(f"/containers/{writing}/attach?stream=1&stdout=1")
    with client:
        api.told("POST", f"/containers/{writing}/start")
        # It waits when its file is full; until then the log grows.
        assert client.recv(1)
        threading.Event().wait(1)
        said = unframe(b"\x01" + read_all(client))[1]
    assert said == ((b"x" * 2000 + b"\n") * (count // 2001 + 1))[:count]
    assert api.told("POST", f"/containers/{writing}/wait") == {"StatusCode": 0}


@pytest.mark.parametrize("driver", ["json-file", "none"])
def test_a_client_that_vanishes_stops_nobody(api, container, driver):
    host = {"NetworkMode": "none", "LogConfig": {"Type": driver, "Config": {}}}
    writing = container("sh", "-c", "read x; yes | head -c 30000000", OpenStdin=True, HostConfig=host)
    stalled, _ = api.open_stream(f"/containers/{writing}/attach?stream=1&stdout=1&stdin=1")
    stalled.sendall(b"\n")
    assert stalled.recv(10)
    stalled.close()
    assert api.told("POST", f"/containers/{writing}/wait") == {"StatusCode": 0}


def test_without_a_log_the_container_waits_for_who_stalls(api, container):
    host = {"NetworkMode": "none", "LogConfig": {"Type": "none", "Config": {}}}
    writing = container("sh", "-c", "yes | head -c 30000000", start=False, HostConfig=host)
    client, _ = api.open_stream(f"/containers/{writing}/attach?stream=1&stdout=1")
    with client:
        api.told("POST", f"/containers/{writing}/start")
        threading.Event().wait(0.5)
        assert api.told("GET", f"/containers/{writing}/json")["State"]["Running"]
        assert len(unframe(read_all(client))[1]) == 30_000_000


def test_detach_keys_end_one_session_of_several(api, container):
    shell = container("sh", Tty=True, OpenStdin=True)
    query = "stream=1&stdin=1&stdout=1&detachKeys="
    first, _ = api.open_stream(f"/containers/{shell}/attach?{query}a,ctrl-b")
    second, _ = api.open_stream(f"/containers/{shell}/attach?{query}ctrl-x")
    with first, second:
        first.sendall(b"echo $((40+2))\n")
        assert b"42" in read(second, b"42\r\n")
        first.sendall(b"a\x02")
        read_all(first)
        second.sendall(b"echo $((50+2))\n")
        assert b"52" in read(second, b"52\r\n")
        second.sendall(b"\x18")
        read_all(second)
    assert api.told("GET", f"/containers/{shell}/json")["State"]["Running"]


@pytest.mark.parametrize("once", [False, True])
def test_the_end_of_input_is_the_programs_with_stdin_once_only(api, container, once):
    reading = container("sh", "-c", "cat; echo over; sleep 1000", OpenStdin=True, StdinOnce=once)
    client, _ = api.open_stream(f"/containers/{reading}/attach?stream=1&stdin=1&stdout=1")
    with client:
        client.sendall(b"said\n")
        if once:
            client.shutdown(socket.SHUT_WR)
            assert unframe(read(client, b"over\n"))[1] == b"said\nover\n"
        else:
            assert unframe(read(client, b"said\n"))[1] == b"said\n"
            client.shutdown(socket.SHUT_WR)
            read_all(client)
            later, _ = api.open_stream(f"/containers/{reading}/attach?stream=1&stdin=1&stdout=1")
            with later:
                later.sendall(b"more\n")
                assert unframe(read(later, b"more\n"))[1] == b"more\n"


@pytest.mark.parametrize(
    ("version", "query", "kind"),
    [
        ("1.24", "stream=1", aiohttp.WSMsgType.TEXT),
        ("1.27", "stream=1", aiohttp.WSMsgType.TEXT),
        ("1.28", "stream=1", aiohttp.WSMsgType.BINARY),
        ("1.41", "stream=1", aiohttp.WSMsgType.BINARY),
        ("1.42", "stream=1&stdin=1&stdout=1", aiohttp.WSMsgType.BINARY),
        ("1.51", "stream=1&stdin=1&stdout=1", aiohttp.WSMsgType.BINARY),
    ],
)
async def test_a_websocket_has_the_frames_and_streams_of_its_version(api, container, version, query, kind):
    echoing = container("cat", OpenStdin=True)
    async with websocket(api, f"/v{version}/containers/{echoing}/attach/ws?{query}") as messages:
        await messages.send_str("hello\n")
        message = await messages.receive()
        assert message.type is kind
        assert message.data == ("hello\n" if kind is aiohttp.WSMsgType.TEXT else b"hello\n")


@pytest.mark.parametrize(("version", "query"), [("1.51", ""), ("1.51", "stream=1"), ("1.41", "")])
async def test_a_websocket_of_who_wants_nothing_is_closed(api, container, version, query):
    living = container("sleep", "1000")
    async with websocket(api, f"/v{version}/containers/{living}/attach/ws?{query}") as messages:
        assert (await messages.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_websocket_begins_with_what_was_logged(api, container):
    echoing = container("sh", "-c", "echo logged; printf prompt; cat", OpenStdin=True)
    async with websocket(api, f"/containers/{echoing}/attach/ws?stream=1&logs=1&stdin=1&stdout=1") as messages:
        await messages.send_bytes(b" typed\n")
        heard = b""
        while not heard.endswith(b" typed\n"):
            heard += (await messages.receive()).data
    assert heard == b"logged\nprompt typed\n"
    async with websocket(api, f"/containers/{echoing}/attach/ws?logs=1&stdout=1") as messages:
        heard = [message.data async for message in messages if message.type is aiohttp.WSMsgType.BINARY]
    assert b"".join(heard) == b"logged\nprompt typed\n"


async def test_detach_keys_end_a_websocket_and_ping_is_answered(api, container):
    shell = container("sh", Tty=True, OpenStdin=True)
    async with websocket(api, f"/containers/{shell}/attach/ws?stream=1&stdin=1&stdout=1", autoping=False) as messages:
        await messages.ping(b"there?")
        while (message := await messages.receive()).type is not aiohttp.WSMsgType.PONG:
            pass
        assert message.data == b"there?"
        await messages.send_bytes(b"\x10\x11")
        while (await messages.receive()).type is aiohttp.WSMsgType.BINARY:
            pass
    assert api.told("GET", f"/containers/{shell}/json")["State"]["Running"]


class websocket:
    def __init__(self, api, target, **options):
        self._api, self._target, self._options = api, target, options

    async def __aenter__(self):
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._api.path)))
        self._messages = await self._session.ws_connect(f"http://x{self._target}", **self._options)
        return self._messages

    async def __aexit__(self, *_):
        await self._messages.close()
        await self._session.close()
        await asyncio.sleep(0)


def test_a_size_is_for_terminals_that_live(api, container):
    waiting = container("sh", Tty=True, OpenStdin=True, start=False)
    assert api.words("POST", f"/containers/{waiting}/resize?h=10&w=20") == (
        409, f"container {waiting} is not running",
    )  # fmt: skip
    api.told("POST", f"/containers/{waiting}/start")
    for version in ("1.24", "1.51"):
        assert api.ask("POST", f"/v{version}/containers/{waiting}/resize?h=11&w=22")[0] == 200
    client, _ = api.open_stream(f"/containers/{waiting}/attach?stream=1&stdin=1&stdout=1")
    with client:
        client.sendall(b"stty size\n")
        assert b"11 22" in read(client, b"11 22")


def test_an_exec_begins_with_its_size(api, container):
    living = container("sleep", "1000")
    body = {"Cmd": ["stty", "size"], "Tty": True, "AttachStdout": True, "ConsoleSize": [33, 77]}
    name = api.told("POST", f"/containers/{living}/exec", body)["Id"]
    assert api.talk(f"/exec/{name}/start", b'{"Tty":true}')[1] == b"33 77\r\n"


def test_the_size_of_an_exec_is_set_while_it_runs_or_is_on_its_way(api, container):
    living = container("sleep", "1000")
    body = {"Cmd": ["sh"], "Tty": True, "AttachStdin": True, "AttachStdout": True, "ConsoleSize": [33, 77]}
    name = api.told("POST", f"/containers/{living}/exec", body)["Id"]
    assert api.words("POST", f"/exec/{name}/resize?h=1&w=2") == (400, "exec process is not started")
    client, _ = api.open_stream(f"/exec/{name}/start", b'{"Tty":true}')
    with client:
        # At once: the exec may still be on its way.
        assert api.ask("POST", f"/exec/{name}/resize?h=22&w=66")[0] == 200
        client.sendall(b"stty size\n")
        read(client, b"22 66")
        assert api.ask("POST", f"/exec/{name}/resize?h=44&w=88")[0] == 200
        client.sendall(b"stty size\n")
        read(client, b"44 88")
        client.sendall(b"exit\n")
        read_all(client)
    status, words = api.words("POST", f"/exec/{name}/resize?h=1&w=2")
    assert (status, words) == (404, f"process does not exist {name}: not found")


@pytest.mark.parametrize("keys", ["ctrl-A", "ctrl-", "foo", "ctrl-1", ",", "a,", "DEL", "ctrl-p, ctrl-q"])
def test_keys_that_do_not_exist_are_refused_by_all_who_take_some(api, container, keys):
    living = container("sleep", "1000")
    asked = keys.replace(",", "%2C").replace(" ", "%20")
    words = f"Invalid detach keys ({keys}) provided"
    assert api.words("POST", f"/containers/{living}/attach?stream=1&detachKeys={asked}") == (400, words)
    body = json.dumps({"Cmd": ["true"], "DetachKeys": keys}).encode()
    assert api.words("POST", f"/containers/{living}/exec", body) == (400, f"Invalid escape keys ({keys}) provided")


def test_an_exec_shows_the_keys_that_end_its_session(api, container):
    living = container("sleep", "1000")
    body = {"Cmd": ["true"], "DetachKeys": "ctrl-a,b"}
    name = api.told("POST", f"/containers/{living}/exec", body)["Id"]
    assert api.told("GET", f"/exec/{name}/json")["DetachKeys"] == "AWI="


def test_an_exec_that_never_started_goes_with_its_container(api, container):
    living = container("sleep", "1000")
    name = api.told("POST", f"/containers/{living}/exec", {"Cmd": ["true"]})["Id"]
    assert api.told("GET", f"/exec/{name}/json")["Running"] is False
    api.told("POST", f"/containers/{living}/kill")
    api.told("POST", f"/containers/{living}/wait")
    assert api.words("GET", f"/exec/{name}/json") == (404, f"No such exec instance: {name}")
