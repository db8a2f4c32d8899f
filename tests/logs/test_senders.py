"""Every driver that sends: all lines arrive, in order, whatever is in them, also when a server goes and comes back."""

import asyncio
import re
import socket

import pytest

from wherry.logs.driver import Entry
from wherry.logs.fluentd import FluentdDriver
from wherry.logs.gelf import GelfDriver, packets
from wherry.logs.journald import JournaldDriver, JournaldSender, field_name
from wherry.logs.subject import Subject
from wherry.logs.syslog import SyslogDriver
from wherry.model.clock import parse_rfc3339

DATAGRAMS = ("syslog-udp", "syslog-unixgram", "gelf-udp", "gelf-udp-zlib", "gelf-udp-plain", "journald")
STREAMS = ("syslog-tcp", "syslog-tls", "syslog-unix", "gelf-tcp", "fluentd-tcp", "fluentd-ack", "fluentd-unix")
DRIVERS = {driver.name: driver for driver in (SyslogDriver(), GelfDriver(), FluentdDriver(), JournaldDriver())}
TIME = parse_rfc3339("2026-11-21T10:31:13.385510027Z")
SECONDS = 20


def subject(options, **more):
    return Subject(
        id="175dfa50845aa426f948c8a9f503aa5221aefb516c2bccf7372aa2759c9e4631",
        name="talker",
        command=("/bin/sh", "-c", "echo <a>"),
        image_id="sha256:1304ac8001899fea0b2594f0233c82bf65a1bfc53ed8091eac84767404a15810",
        image_name="bb",
        created_ns=TIME,
        env=("E1=v1", "E2=v&2"),
        labels={"la": "1", "Lb.x": "two words"},
        options=options,
        host_name="vm",
        **more,
    )


def sender_to(server, name, **options):
    driver = DRIVERS[name.partition("-")[0]]
    said = {**server.options, **options}
    if name == "journald":
        return JournaldSender(subject(said), str(server.path))
    driver.check(said)
    return driver.sender(subject(said))


def entries(count, start=0):
    return [
        Entry(text=b"line %d" % number, stream=("stdout", "stderr")[number % 3 == 0], time_ns=TIME + number)
        for number in range(start, start + count)
    ]


@pytest.mark.parametrize("name", DATAGRAMS + STREAMS)
async def test_all_lines_arrive_in_order_with_their_streams(receiver, name):
    async with receiver(name) as server:
        sender = sender_to(server, name)
        await sender.open()
        for start in range(0, 300, 100):
            await sender.send(entries(100, start))
        await server.until(300)
        await sender.close()
        assert server.lines == [(entry.text, entry.stream) for entry in entries(300)]


@pytest.mark.parametrize("name", DATAGRAMS + STREAMS)
async def test_a_line_may_have_anything_in_it(receiver, name):
    texts = [b'a<b>&\t\x01\xc3\xa9 "quoted" \\ ]: - ', b"x" * 16384, b"", "längst".encode(), b"\xff\xfe"]
    odd = [entry for entry in texts if entry or name in ("journald", *STREAMS[4:])]
    if name == "gelf-tcp":
        odd = [text for text in texts if text]
    async with receiver(name) as server:
        sender = sender_to(server, name)
        await sender.send([Entry(text=text, stream="stdout", time_ns=TIME) for text in texts])
        await server.until(len(odd))
        await sender.close()
    raw = name.startswith(("syslog", "journald"))
    assert [text for text, _ in server.lines] == [
        text if raw else text.decode(errors="replace").encode() for text in odd
    ]


@pytest.mark.parametrize("name", STREAMS)
async def test_what_a_lost_server_has_not_taken_is_sent_to_the_next(receiver, name):
    async with receiver(name) as server:
        sender = sender_to(server, name)
        await sender.open()
        await sender.send(entries(10))
        await server.until(10)
        await server.stop()
        for _ in range(2):
            with pytest.raises(OSError, match=r"connect: "):
                await sender.send(entries(10, 10))
        await server.start()
        await sender.send(entries(10, 10))
        await server.until(20)
        await sender.close()
        assert server.lines[-20:] == [(entry.text, entry.stream) for entry in entries(20)]


@pytest.mark.parametrize("name", ["syslog-tcp", "syslog-tls", "syslog-unix", "gelf-tcp", "fluentd-tcp", "fluentd-unix"])
async def test_a_server_that_is_not_there_is_named(receiver, name):
    async with receiver(name) as server:
        sender = sender_to(server, name)
    with pytest.raises(OSError, match=r"dial (tcp|unix) .*: connect: (connection refused|no such file or directory)"):
        await sender.open()
    await sender.close()


async def test_a_server_that_reads_nothing_is_not_believed_to_have_it(receiver, tmp_path):
    """What is in a socket's buffer when its reader dies would be lost."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.setblocking(False)
        sender = SyslogDriver().sender(subject({"syslog-address": f"unix://{tmp_path}/s"}))
        await sender.open()
        sending = asyncio.ensure_future(sender.send(entries(10)))
        loop = asyncio.get_running_loop()
        connection, _ = await loop.sock_accept(listener)
        connection.setblocking(False)
        assert await loop.sock_recv(connection, 10)
        assert not sending.done()
        connection.close()
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(sending, SECONDS)
        await sender.close()


async def test_syslog_looks_as_dockerds(receiver, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr("os.getpid", lambda: 76)
    expected = {
        "": b"<30>Nov 21 10:31:13 175dfa50845a[76]: out\n",
        "rfc3164": b"<158>Nov 21 10:31:13 vm talker/175dfa50845a[76]: out\n",
        "rfc5424": b"<30>1 2026-11-21T10:31:13Z vm 175dfa50845a 76 175dfa50845a - out\n",
        "rfc5424micro": b"<30>1 2026-11-21T10:31:13.385510Z vm 175dfa50845a 76 175dfa50845a - out\n",
    }
    for form, message in expected.items():
        more = {"syslog-facility": "local3", "tag": "{{.Name}}/{{.ID}}"} if form == "rfc3164" else {}
        async with receiver("syslog-udp") as server:
            sender = sender_to(server, "syslog-udp", **{"syslog-format": form}, **more)
            await sender.send([Entry(text=b"out", stream="stdout", time_ns=TIME)])
            assert (await server.until(1)) == [message]
            await sender.close()


@pytest.mark.parametrize("name", ["syslog-tcp", "syslog-tls", "journald"])
async def test_no_label_smuggles_a_message_in(receiver, name):
    evil = "x\n<11>Nov 21 10:31:13 vm forged[1]: all is well\nPRIORITY=0"
    async with receiver(name) as server:
        options = {**server.options, "tag": '{{index .ContainerLabels "evil"}}', "labels": "evil"}
        made = Subject(id="a" * 64, name="n", labels={"evil": evil}, options=options, host_name="vm")
        sender = JournaldSender(made, str(server.path)) if name == "journald" else SyslogDriver().sender(made)
        await sender.send(entries(2))
        await server.until(2)
        await sender.close()
    assert len(server.messages) == 2
    if name == "journald":
        assert [message["PRIORITY"] for message in server.messages] == [b"3", b"6"]
        assert {message["EVIL"] for message in server.messages} == {evil.encode()}


async def test_gelf_has_dockerds_fields(receiver):
    async with receiver("gelf-udp") as server:
        sender = sender_to(server, "gelf-udp", labels="la,Lb.x", env="E1")
        await sender.send([Entry(text=b"out", stream="stdout", time_ns=TIME)])
        await server.until(1)
        await sender.close()
    assert server.messages == [
        {
            "version": "1.1", "host": "vm", "short_message": "out", "timestamp": 1795257073.385, "level": 6,
            "_E1": "v1", "_Lb.x": "two words", "_la": "1", "_command": "/bin/sh -c echo <a>",
            "_container_id": subject({}).id, "_container_name": "talker", "_created": "2026-11-21T10:31:13.385510027Z",
            "_image_id": subject({}).image_id, "_image_name": "bb", "_tag": "175dfa50845a",
        }
    ]  # fmt: skip


def test_a_gelf_message_beyond_all_chunks_is_left_out():
    assert len(packets(bytes(1420))) == 1
    assert len(packets(bytes(1421))) == 2
    assert len(packets(bytes(128 * 1408))) == 128
    assert packets(bytes(128 * 1408 + 1)) == []


async def test_fluentd_has_dockerds_fields_and_parts_of_long_lines(receiver):
    async with receiver("fluentd-ack") as server:
        sender = sender_to(server, "fluentd-ack", **{"labels-regex": "^l", "env-regex": "E", "tag": "docker.{{.Name}}"})
        part = Entry(text=b"begin", stream="stderr", time_ns=TIME, part=1, is_last=False)
        await sender.send([part, Entry(text=b"end", stream="stderr", time_ns=TIME, part=2)])
        first, last = await server.until(2)
        await sender.close()
    when = first.pop("time")
    assert (when.code, when.data) == (0, (TIME // 10**9).to_bytes(4, "big") + (TIME % 10**9).to_bytes(4, "big"))
    identity = first.pop("partial_id")
    assert identity == last["partial_id"]
    assert first == {
        "tag": "docker.talker", "container_id": subject({}).id, "container_name": "/talker", "source": "stderr",
        "log": "begin", "la": "1", "E1": "v1", "E2": "v&2",
        "partial_message": "true", "partial_ordinal": "1", "partial_last": "false",
    }  # fmt: skip
    assert (last["partial_ordinal"], last["partial_last"]) == ("2", "true")


async def test_fluentd_sends_no_more_at_once_than_the_limit(receiver):
    async with receiver("fluentd-tcp") as server:
        sender = sender_to(server, "fluentd-tcp", **{"fluentd-buffer-limit": "10k"})
        await sender.send([Entry(text=b"x" * 1000, stream="stdout", time_ns=TIME)] * 100)
        await server.until(100)
        await sender.close()


async def test_the_journal_has_dockerds_fields_and_long_ones_by_file(receiver):
    async with receiver("journald") as server:
        sender = sender_to(server, "journald", labels="la,Lb.x", env="E1", tag="T{{.ID}}")
        await sender.open()
        texts = (b"two\nlines", b"x" * 1_000_000, b"out")
        await sender.send([Entry(text=text, stream="stdout", time_ns=TIME) for text in texts])
        await server.until(3)
        await sender.close()
    assert [message["MESSAGE"] for message in server.messages] == list(texts)
    epoch = server.messages[2].pop("CONTAINER_LOG_EPOCH")
    assert re.fullmatch(b"[0-9a-f]{64}", epoch)
    assert server.messages[2] == {
        "PRIORITY": b"6", "MESSAGE": b"out", "CONTAINER_ID": b"175dfa50845a",
        "CONTAINER_ID_FULL": subject({}).id.encode(), "LA": b"1", "E1": b"v1", "LB_X": b"two words",
        "IMAGE_NAME": b"bb", "SYSLOG_IDENTIFIER": b"T175dfa50845a", "CONTAINER_TAG": b"T175dfa50845a",
        "SYSLOG_TIMESTAMP": b"2026-11-21T10:31:13.385510027Z", "CONTAINER_LOG_ORDINAL": b"3",
        "CONTAINER_NAME": b"talker",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "field"), [("_a.b", "A_B"), ("ä", ""), ("X1", "X1"), ("com.docker/x", "COM_DOCKER_X")]
)
def test_names_of_fields_are_made_fit_for_the_journal(name, field):
    assert field_name(name) == field
