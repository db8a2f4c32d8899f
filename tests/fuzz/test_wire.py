"""What is hardly HTTP, or ends where it should not: answered as Go's server does for dockerd, and nothing stays.

A table has each case with the status that comes back first. Where dockerd's 28.5 is another, it stands beside.
"""

import json
import random
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest

from wherry.api.connection import HEAD_BYTES_MAX, HEADERS_MAX

END = b"Host: x\r\nConnection: close\r\n\r\n"
TO_UPGRADE = b"Host: x\r\nConnection: Upgrade\r\n\r\n"
BODY = b'{"Image":"nosuch"}'
CREATE = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
PING = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"12\r\n" + BODY + b"\r\n0\r\n\r\n"

TARGETS = {
    "a name in UTF-8": (b"GET /containers/\xc3\xa9/json HTTP/1.1\r\n" + END, 400),  # dockerd: 404
    "an escape that is none": (b"GET /containers/%zz/json HTTP/1.1\r\n" + END, 400),
    "an escape that is none in the query": (b"GET /containers/json?limit=%zz HTTP/1.1\r\n" + END, 400),
    "a semicolon": (b"GET /containers/json?limit=1;all=1 HTTP/1.1\r\n" + END, 400),
    "a semicolon where no field is read": (b"GET /_ping?a;b HTTP/1.1\r\n" + END, 200),
    "an escaped NUL": (b"GET /containers/%00/json HTTP/1.1\r\n" + END, 404),
    "a control character": (b"GET /_ping\x01 HTTP/1.1\r\n" + END, 400),
    "a NUL": (b"GET /_ping\0 HTTP/1.1\r\n" + END, 400),
    "a space": (b"GET /a b HTTP/1.1\r\n" + END, 400),
    "nothing": (b"GET  HTTP/1.1\r\n" + END, 400),
    "no slash": (b"GET _ping HTTP/1.1\r\n" + END, 400),
    "a whole URL": (b"GET http://docker/v1.51/_ping HTTP/1.1\r\n" + END, 200),
    "a whole URL of a host only": (b"GET http://docker HTTP/1.1\r\n" + END, 301),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\n" + END, 200),
    "an authority": (b"CONNECT x:80 HTTP/1.1\r\n" + END, 301),
    "dots": (b"GET /v1.51/../_ping HTTP/1.1\r\n" + END, 301),
    "escaped dots": (b"GET /%2e%2e/_ping HTTP/1.1\r\n" + END, 301),
}
HEADS = {
    "HTTP/0.9": (b"GET /_ping\r\n\r\n", 400),
    "HTTP/1.0": (b"GET /_ping HTTP/1.0\r\n\r\n", 200),
    "HTTP/2.0": (b"GET /_ping HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "HTTP/9.9": (b"GET /_ping HTTP/9.9\r\nHost: x\r\n\r\n", 400),  # dockerd: 505
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 400),  # dockerd: 301
    "the hello of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 508, 400),  # dockerd: waits
    "another language": (b"SSH-2.0-OpenSSH_9.9\r\n", 400),
    "no host": (b"GET /_ping HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /_ping HTTP/1.1\r\nHost: y\r\n" + END, 400),
    "an unknown method": (b"FOO /_ping HTTP/1.1\r\n" + END, 400),  # dockerd: 404
    "a method of odd letters": (b"G@T /_ping HTTP/1.1\r\n" + END, 400),
    "a wrong method": (b"PATCH /_ping HTTP/1.1\r\n" + END, 404),
    "a NUL in a header": (b"GET /_ping HTTP/1.1\r\nX: a\0b\r\n" + END, 400),
    "Latin-1 in a header": (b"GET /_ping HTTP/1.1\r\nX: \xe9\xff\r\n" + END, 200),
    "a header without a name": (b"GET /_ping HTTP/1.1\r\n: b\r\n" + END, 400),
    "a header without a colon": (b"GET /_ping HTTP/1.1\r\nXX\r\n" + END, 400),
    "a space before the colon": (b"GET /_ping HTTP/1.1\r\nX : b\r\n" + END, 400),
    "a folded header": (b"GET /_ping HTTP/1.1\r\nX: b\r\n c\r\n" + END, 400),  # dockerd: 200
    "no carriage returns": (b"GET /_ping HTTP/1.1\nHost: x\n\n", 400),  # dockerd: 200
    "many headers": (b"GET /_ping HTTP/1.1\r\n" + b"X: y\r\n" * (HEADERS_MAX + 1) + END, 431),
    "a long header": (b"GET /_ping HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES_MAX + b"\r\n" + END, 431),
    "a long target": (b"GET /" + b"a" * HEAD_BYTES_MAX + b" HTTP/1.1\r\n" + END, 431),
    "long headers": (b"GET /_ping HTTP/1.1\r\n" + (b"X: " + b"a" * 60_000 + b"\r\n") * 30 + END, 431),
    "an expectation": (b"GET /_ping HTTP/1.1\r\nExpect: 100-continue\r\n" + END, 200),
    "another expectation": (b"GET /_ping HTTP/1.1\r\nExpect: more\r\n" + END, 417),
    "an upgrade to nothing known": (b"GET /_ping HTTP/1.1\r\nUpgrade: tcp\r\n" + TO_UPGRADE, 200),
    "an upgrade to HTTP/2": (b"GET /_ping HTTP/1.1\r\nUpgrade: h2c\r\n" + TO_UPGRADE, 200),
    "an upgrade to websockets": (b"GET /_ping HTTP/1.1\r\nUpgrade: websocket\r\n" + TO_UPGRADE, 200),
    "websockets without a key": (
        b"GET /containers/created/attach/ws HTTP/1.1\r\nUpgrade: websocket\r\n" + TO_UPGRADE, 400,
    ),
}  # fmt: skip
BODIES = {
    "a length": (CREATE + b"Content-Length: 18\r\n\r\n" + BODY, 404),
    "chunks": (CREATE + CHUNKED + CHUNKS, 404),
    "chunks with an extension": (CREATE + CHUNKED + CHUNKS.replace(b"12", b"12;a=b"), 404),
    "chunks with a trailer": (CREATE + CHUNKED + CHUNKS[:-2] + b"X: y\r\n\r\n", 404),
    "two lengths": (CREATE + b"Content-Length: 18\r\nContent-Length: 17\r\n\r\n" + BODY, 400),
    "the same length twice": (CREATE + b"Content-Length: 18\r\nContent-Length: 18\r\n\r\n" + BODY, 400),  # dockerd: 404
    "a list of lengths": (CREATE + b"Content-Length: 18, 18\r\n\r\n" + BODY, 400),
    "a negative length": (CREATE + b"Content-Length: -1\r\n\r\n" + BODY, 400),
    "a signed length": (CREATE + b"Content-Length: +18\r\n\r\n" + BODY, 400),
    "a length in hexadecimal": (CREATE + b"Content-Length: 0x12\r\n\r\n" + BODY, 400),
    "a length without digits": (CREATE + b"Content-Length: \r\n\r\n" + BODY, 400),  # dockerd: waits
    "a length past 64 bits": (CREATE + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY, 400),
    "a length of exabytes": (CREATE + b"Content-Length: 4611686018427387904\r\n\r\n" + BODY, 400),
    "a length that is too large": (CREATE + b"Content-Length: 30\r\n\r\n" + BODY, 400),
    "a length that is too small": (CREATE + b"Content-Length: 5\r\n\r\n" + BODY, 400),
    "length zero": (CREATE + b"Content-Length: 0\r\n\r\n", 400),
    "no length": (CREATE + b"\r\n", 400),
    "length zero and chunks": (CREATE + b"Content-Length: 0\r\n" + CHUNKED + CHUNKS, 400),  # dockerd: 404
    "a length and chunks": (CREATE + b"Content-Length: 18\r\n" + CHUNKED + CHUNKS, 400),  # dockerd: 404
    "a chunk's size of odd letters": (CREATE + CHUNKED + b"zz\r\n" + BODY, 400),
    "a chunk's size below zero": (CREATE + CHUNKED + b"-1\r\n" + BODY, 400),
    "a chunk's size past 64 bits": (CREATE + CHUNKED + b"f" * 17 + b"\r\n" + BODY, 400),
    "a chunk without its end": (CREATE + CHUNKED + b"12\r\n" + BODY + b"0\r\n\r\n", 400),
    "a chunk cut short": (CREATE + CHUNKED + b"12\r\n" + BODY[:5], 400),
    "chunks without carriage returns": (CREATE + CHUNKED + b"12\n" + BODY + b"\n0\n\n", 400),
    "an unknown encoding": (CREATE + b"Transfer-Encoding: gzip\r\n\r\n" + BODY, 400),  # dockerd: 501
    "two encodings": (CREATE + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS, 501),
    "chunks twice": (CREATE + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS, 400),  # dockerd: 501
    "an encoding like chunks": (CREATE + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS, 400),  # dockerd: 501
    "a media type of odd bytes": (
        CREATE.replace(b"/json", b"/\xda\xff") + b"Content-Length: 18\r\n\r\n" + BODY,
        400,
    ),
    "a compressed body": (CREATE + b"Content-Encoding: gzip\r\nContent-Length: 18\r\n\r\n" + BODY, 404),
}

ATTACH = b"POST /containers/terminal/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
STREAMS = {
    "attach with an upgrade": ATTACH + UPGRADE + b"hello\n",
    "attach without an upgrade": ATTACH + b"\r\nhello\n",
    "attach by websocket": (
        b"GET /containers/terminal/attach/ws?stream=1&stdout=1 HTTP/1.1\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nUpgrade: websocket\r\n" + TO_UPGRADE + b"\x81\x81aaaa\0"
    ),
    "logs": b"GET /containers/running/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "events": b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n",
    "wait": b"POST /containers/running/wait HTTP/1.1\r\nHost: x\r\n\r\n",
    "an old wait": b"POST /v1.24/containers/running/wait HTTP/1.1\r\nHost: x\r\n\r\n",
    "import": b"POST /images/create?fromSrc=- HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"200\r\n" + bytes(512) + b"\r\n",
    "load": b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 1024\r\n\r\n" + bytes(512),
    "save": b"GET /images/busybox/get HTTP/1.1\r\nHost: x\r\n\r\n",
    "create": CREATE + b"Content-Length: 18\r\n\r\n" + BODY,
    "two pings": PING + PING,
}  # fmt: skip


def answers(fuzzed, data, *, ends=False, seconds=30.0):
    """Everything that comes back until the daemon closes, or until time is up."""
    with fuzzed.connect() as client:
        client.settimeout(seconds)
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(data)
            if ends:
                client.shutdown(socket.SHUT_WR)
        found = b""
        with suppress(TimeoutError, ConnectionResetError):
            while piece := client.recv(65536):
                found += piece
    return found


def first_status(answer):
    return int(answer.split(b" ", 2)[1])


@pytest.fixture(scope="module")
def unchanged(fuzzed):
    """Nothing that was opened on the way is open after all of it."""
    before = fuzzed.size()
    yield
    assert fuzzed.settled_size(before) == before


@pytest.mark.parametrize("table", [TARGETS, HEADS, BODIES], ids=["targets", "heads", "bodies"])
def test_odd_requests_have_their_status(fuzzed, unchanged, python_words, table):
    different = []
    for name, (data, status) in table.items():
        answer = answers(fuzzed, data, ends=True)
        if not answer or first_status(answer) != status or python_words.search(answer.decode("latin1")):
            different.append(f"{name}: {status} expected, not {answer[:300]!r}")
    assert not different, "\n".join(different)
    fuzzed.says_nothing_of_python()


def test_a_request_may_come_byte_by_byte(fuzzed, unchanged):
    for data, status in [(PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 200), BODIES["chunks"]]:
        with fuzzed.connect() as client:
            for byte in data:
                client.sendall(bytes([byte]))
            assert first_status(client.recv(65536)) == status


def test_requests_may_be_sent_before_answers_are_read(fuzzed, unchanged):
    found = answers(fuzzed, PING * 200 + b"GET /nosuch HTTP/1.1\r\n" + END)
    assert found.count(b"HTTP/1.1 200 OK") == 200
    assert found.index(b"HTTP/1.1 404") > found.rindex(b"HTTP/1.1 200 OK")


def test_what_follows_a_whole_request_does_not_harm_it(fuzzed, unchanged):
    create = CREATE.replace(b"Connection: close\r\n", b"") + b"Content-Length: 18\r\n\r\n" + BODY
    found = answers(fuzzed, create * 2 + PING, ends=True)
    assert (found.count(b"HTTP/1.1 404"), found.count(b"HTTP/1.1 200 OK")) == (2, 1)


def test_a_client_that_ends_its_half_gets_its_answer(fuzzed, unchanged):
    assert answers(fuzzed, PING, ends=True).endswith(b"\r\n\r\nOK")
    assert b'"StatusCode":0' in answers(fuzzed, b"POST /containers/exited/wait HTTP/1.1\r\n" + END, ends=True)
    assert first_status(answers(fuzzed, STREAMS["save"], ends=True)) == 200
    cut = answers(fuzzed, CREATE + b"Content-Length: 30\r\n\r\n" + BODY, ends=True)
    assert json.loads(cut.partition(b"\r\n\r\n")[2]) == {"message": "invalid JSON: unexpected EOF"}


@pytest.mark.parametrize("stream", ["events", "logs", "wait", "an old wait", "attach by websocket"])
def test_a_stream_of_news_ends_with_its_client(fuzzed, unchanged, stream):
    answers(fuzzed, STREAMS[stream], ends=True)  # comes back, because the daemon closes


def test_who_waits_to_be_told_to_send_is_told(fuzzed, unchanged):
    with fuzzed.connect() as client:
        client.sendall(CREATE + b"Expect: 100-continue\r\nContent-Length: 18\r\n\r\n")
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert first_status(client.recv(65536)) == 404
    refused = b"POST /nosuch HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 18\r\n" + END
    with fuzzed.connect() as client:
        client.sendall(refused)
        assert first_status(client.recv(65536)) == 404


@pytest.mark.parametrize("ending", ["half-closed", "closed", "reset"])
@pytest.mark.parametrize("name", STREAMS)
def test_any_request_may_break_off_anywhere(fuzzed, unchanged, name, ending):
    data = STREAMS[name]
    for length in sorted({*range(0, len(data), max(1, len(data) // 12)), len(data) - 1, len(data)}):
        _break_off(fuzzed, data[:length], ending)
    assert fuzzed.ask("GET", "/_ping").body == b"OK"


def _break_off(fuzzed, data, ending):
    with fuzzed.connect() as client:
        client.sendall(data)
        if ending == "reset":  # of a unix socket: closed with what was sent to us unread
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.settimeout(0.01)
            with suppress(TimeoutError):
                client.recv(1, socket.MSG_PEEK)
        elif ending == "half-closed":
            client.shutdown(socket.SHUT_WR)


def _spoiled(random_source):
    """A whole request with a few bytes changed, cut out, doubled or moved."""
    data = bytearray(
        random_source.choice([data for data, _ in (*TARGETS.values(), *BODIES.values())] + [*STREAMS.values()])
    )
    for _ in range(random_source.randint(1, 4)):
        place, length = random_source.randrange(len(data) + 1), random_source.randint(1, 8)
        match random_source.randrange(4):
            case 0:
                data[place : place + 1] = random_source.randbytes(1)
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length]
            case 3:
                data[place:place] = random_source.choice(
                    (b"\r\n", b"\r\n\r\n", b"\0", b" ", b":", b"\xff", b"%", b"9" * 30)
                )
    return bytes(data[:4096])


def _send_spoiled(fuzzed, python_words, number):
    chance = random.Random(number)
    data = _spoiled(chance)
    answer = answers(fuzzed, data, ends=chance.random() < 0.9, seconds=0.02)
    assert not python_words.search(answer.decode("latin1")), (number, data, answer)


def test_spoiled_requests_do_no_harm(fuzzed, unchanged, python_words):
    for number in range(300):
        _send_spoiled(fuzzed, python_words, number)
    assert fuzzed.ask("GET", "/_ping").body == b"OK"
    fuzzed.says_nothing_of_python()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_spoiled_requests_do_no_harm(fuzzed, unchanged, python_words):
    for number in range(2000):
        _send_spoiled(fuzzed, python_words, number)
    memory = fuzzed.memory_kb()
    for number in range(2000, 102_000):
        _send_spoiled(fuzzed, python_words, number)
        if number % 500 == 0:
            fuzzed.remove_everything()
            fuzzed.furnish()
    assert fuzzed.memory_kb() < memory + 20_000
    fuzzed.says_nothing_of_python()


def test_many_who_never_finish_keep_nobody_waiting(fuzzed, unchanged):
    with ExitStack() as clients:
        for _ in range(300):
            client = clients.enter_context(fuzzed.connect())
            client.sendall(CREATE + b"Content-Length: 18\r\n\r\n{")
        started = time.monotonic()
        assert fuzzed.ask("GET", "/_ping").body == b"OK"
        assert time.monotonic() - started < 5


HUGE = 100 * 1024 * 1024


def test_a_body_of_a_hundred_megabytes_is_refused_and_not_kept(fuzzed, unchanged):
    before = fuzzed.memory_kb()
    for head in (b"Content-Length: %d\r\n\r\n" % HUGE, CHUNKED + b"%x\r\n" % HUGE):
        with fuzzed.connect() as client:
            client.sendall(CREATE + head)
            with suppress(BrokenPipeError, ConnectionResetError):
                for _ in range(0, HUGE, 1 << 20):
                    client.sendall(b" " * (1 << 20))
            answer = client.recv(65536)
            assert first_status(answer) == 413, answer
    assert fuzzed.memory_kb() < before + 30_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" * 4_000_000, "invalid JSON: exceeded max depth"),
        (b'{"HostConfig":' * 200_000, "invalid JSON: exceeded max depth"),
        (b'{"Labels":' + b'{"a":' * 9000 + b"1" + b"}" * 9001, "invalid JSON: exceeded max depth"),
        (b'{"Env":[' + b'"",' * 1_000_000 + b'""]}', "invalid environment variable: "),
        (b'{"Image":"' + b"a" * 4_000_000 + b'"}', "repository name must not be more than 255 characters"),
        (b'{"Image":"' + b"\\ud800" * 500_000 + b'"}', "invalid reference format"),
        (b'{"HostConfig":{"Memory":' + b"9" * 500_000 + b"}}", "cannot unmarshal number"),
        (b'{"Image":"x","Cmd":"' + b"\xff" * 3_000_000 + b'"}', "No such image: x:latest"),
    ],
    ids=["lists", "objects", "in a map", "many words", "a long word", "surrogates", "digits", "no UTF-8"],
)
def test_a_large_value_is_refused_in_words_and_little_memory(fuzzed, unchanged, body, words):
    before = fuzzed.memory_kb()
    answer = fuzzed.ask("POST", "/containers/create", body)
    assert words in answer.message, answer.message[:300]
    assert len(answer.body) < 3 * len(body) + 1000
    assert fuzzed.memory_kb() < before + 150_000
