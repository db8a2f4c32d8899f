"""Lines are sent from where they are kept: in order, from the place that was noted, also past rotation and a crash."""

import asyncio
import os

import pytest

from wherry.logs.driver import LogQuery, Retry
from wherry.logs.local import LocalLogs
from wherry.logs.shipping import NAME, Place, Shipment, is_all_sent, load_place
from wherry.monitor.logfile import LogFile
from wherry.monitor.lognames import Numbered
from wherry.monitor.logwriter import LogWriter
from wherry.monitor.packed import Packed

SECONDS = 20


class Log:
    """A `local` log with its writer."""

    def __init__(self, directory, *, bytes_max=None, files_max=5):
        self.directory = directory
        self.path = str(directory / "log")
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        fd = os.open(directory, os.O_RDONLY)
        names = Numbered(fd, "log", files_max)
        self.file = LogFile(fd, names, Packed(), bytes_max=bytes_max, attributes=b'{"a":"b"}')
        journal = os.open(directory / "journal", os.O_RDWR | os.O_CREAT)
        self.writer = LogWriter(self.file, journal, on_loss=lambda error: (_ for _ in ()).throw(error))

    def say(self, text, stream=0):
        os.write(self._writing, text)
        self.writer.read(self._reading, stream)

    def close(self):
        self.writer.close()
        os.close(self._reading)
        os.close(self._writing)


class Server:
    """A Sender that keeps what it is given; `fails` is how often it does not take it."""

    def __init__(self, *, fails=0, retry=None):
        self.retry = retry or Retry(first_seconds=0.001, longest_seconds=0.002)
        self.entries = []
        self.fails = fails
        self.closed = False
        self.got_some = asyncio.Event()

    async def open(self):
        """There is no need."""

    async def send(self, entries):
        self.got_some.set()
        if self.fails:
            self.fails -= 1
            raise ConnectionResetError("gone")
        self.entries += entries

    async def close(self):
        self.closed = True

    @property
    def text(self):
        return b"".join(entry.text + b"\n" * (not entry.part or entry.is_last) for entry in self.entries)


@pytest.fixture
def log(tmp_path):
    made = []

    def make(**more):
        made.append(Log(tmp_path, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def ship(log, server, *, ended=None, words=None):
    async def over():
        if ended is not None:
            await ended.wait()

    trouble = words.append if words is not None else pytest.fail
    await asyncio.wait_for(Shipment(log.path, server, trouble).run(over), SECONDS)


async def test_everything_is_sent_once_and_the_place_is_noted(log):
    written = log()
    for number in range(1000):
        written.say(b"line %d\n" % number, number % 2)
    server = Server()
    assert not is_all_sent(written.path)
    await ship(written, server)
    assert server.text == b"".join(b"line %d\n" % number for number in range(1000))
    assert {entry.stream for entry in server.entries} == {"stdout", "stderr"}
    assert server.closed
    assert is_all_sent(written.path)
    again = Server()
    written.say(b"one more\n")
    assert not is_all_sent(written.path)
    await ship(written, again)
    assert again.text == b"one more\n"


async def test_what_comes_is_sent_past_rotations_until_the_end(log):
    written = log(bytes_max=2000, files_max=1000)
    ended, server = asyncio.Event(), Server()
    task = asyncio.ensure_future(ship(written, server, ended=ended))
    for number in range(2000):
        written.say(b"line %d\n" % number)
        if number % 50 == 0:
            await asyncio.sleep(0)
    ended.set()
    await task
    assert server.text == b"".join(b"line %d\n" % number for number in range(2000))


async def test_parts_of_long_lines_are_counted_also_by_the_next_one_who_sends(log):
    written = log()
    written.say(b"x" * 20_000)
    written.say(b"y" * 20_000, 1)
    first, second = Server(), Server()
    await ship(written, first)
    written.say(b"x" * 20_000 + b"\nshort\n")
    await ship(written, second)
    out = [entry for entry in first.entries + second.entries if entry.stream == "stdout"]
    assert [(entry.part, entry.is_last) for entry in out] == [(1, False), (2, False), (3, True), (0, True)]
    assert b"".join(entry.text for entry in out) == b"x" * 40_000 + b"short"
    assert len({entry.time_ns for entry in out[:3]}) == 1


async def test_a_server_that_fails_is_asked_again_with_the_same_lines(log):
    written, words = log(), []
    written.say(b"one\ntwo\n")
    server = Server(fails=5)
    await ship(written, server, words=words)
    assert server.text == b"one\ntwo\n"
    assert words == ["lines wait, for they cannot be sent: gone"]


async def test_lines_are_dropped_only_where_that_was_asked_for(log):
    written, words = log(), []
    written.say(b"one\ntwo\n")
    server = Server(fails=3, retry=Retry(first_seconds=0.001, attempts_max=2))
    await ship(written, server, words=words)
    assert server.text == b""
    assert words[-1] == "2 lines are dropped after 3 attempts: gone"
    written.say(b"three\n")
    server.entries.clear()
    await ship(written, server, words=words)
    assert server.text == b"three\n"


async def test_what_was_rotated_away_meanwhile_is_missed_aloud(log):
    written, words = log(bytes_max=1000, files_max=2), []
    written.say(b"first\n")
    await ship(written, Server())
    for number in range(1000):
        written.say(b"line %d\n" % number)
    server = Server()
    await ship(written, server, words=words)
    assert words == ["lines were rotated away before they could be sent"]
    assert server.text.endswith(b"line 999\n")


async def test_a_task_that_is_ended_in_the_midst_leaves_the_rest_to_the_next(log):
    written = log()
    written.say(b"one\n")
    stuck = Server(fails=10**9)
    task = asyncio.ensure_future(ship(written, stuck, words=[]))
    await stuck.got_some.wait()
    task.cancel()
    await asyncio.wait([task])
    assert stuck.closed
    server = Server()
    await ship(written, server)
    assert server.text == b"one\n"


def test_a_note_that_was_half_written_counts_as_none(tmp_path):
    assert load_place(str(tmp_path)) == Place()
    (tmp_path / NAME).write_bytes(b"\1" * 28)
    assert load_place(str(tmp_path)) == Place()
    (tmp_path / NAME).write_bytes(b"\1" * 5)
    assert load_place(str(tmp_path)) == Place()


async def test_what_a_power_cut_left_is_passed_over(log):
    written = log()
    written.say(b"before\n")
    name = written.directory / "log.00000001"
    with name.open("ab") as file:
        file.write(bytes(5000))
    written.say(b"after\n")
    batches = [batch async for batch in LocalLogs().read(written.path, LogQuery())]
    assert [line.log for batch in batches for line in batch] == ["before\n", "after\n"]
    batches = [batch async for batch in LocalLogs().read(written.path, LogQuery(tail=2))]
    assert [line.log for batch in batches for line in batch] == ["before\n", "after\n"]
    server = Server()
    await ship(written, server)
    assert server.text == b"before\nafter\n"
