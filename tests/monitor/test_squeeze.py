"""Rotated files are compressed beside a log that goes on: killed, moved or dropped meanwhile, nothing is lost."""

import asyncio
import gzip
import itertools
import os
import types

import pytest

from wherry.logs import files
from wherry.logs.driver import LogQuery
from wherry.logs.jsonfile import JsonFileLogs
from wherry.logs.local import LocalLogs
from wherry.logs.segments import SegmentFiles
from wherry.monitor import squeeze
from wherry.monitor.jsonlog import Json
from wherry.monitor.logfile import LogFile
from wherry.monitor.lognames import Numbered, Shifted, remove_temporaries
from wherry.monitor.packed import Packed

KILLED = 9
FORMS = {"json-file": (Shifted, Json, JsonFileLogs), "local": (Numbered, Packed, LocalLogs)}


class Log:
    """A log of numbered lines, with a new file every so many bytes."""

    def __init__(self, root, form, *, bytes_max=60_000, files_max=50, compress=False):
        names, record, self.reader = FORMS[form]
        self.form = form
        self.directory = os.open(root, os.O_RDONLY)
        self.names = names(self.directory, "log", files_max)
        self.file = LogFile(self.directory, self.names, record(), bytes_max=bytes_max, compress=compress)
        self.path = str(root / "log")
        self.said = 0

    def say(self, count):
        for _ in range(count):
            data = b"".join(b"line %d\n" % number for number in range(self.said, self.said + 100))
            encoded = self.file.format.encode(data, stream="stdout", first_ns=10**18 + self.said * 1000 + 1)
            start = 0
            while start < len(encoded.records):
                if self.file.is_full:
                    self.file.rotate()
                start = self.file.write(encoded.records, start)
            self.said += 100

    def compress(self, name):
        squeeze.compress(self.directory, name, blocks=self.form == "local")

    async def read(self, **wishes):
        batches = self.reader().read(self.path, LogQuery(**wishes))
        return [int(line.log.split()[1]) async for batch in batches for line in batch]

    def close(self):
        self.file.close()


@pytest.fixture(params=FORMS)
def log(request, tmp_path):
    made = Log(tmp_path, request.param)
    yield made
    made.close()


async def test_what_is_compressed_reads_as_before(log, tmp_path):
    log.say(300)
    for name in log.names.rotated()[::2]:
        plain = (tmp_path / name).read_bytes()
        log.compress(name)
        assert not (tmp_path / name).exists()
        assert gzip.decompress((tmp_path / f"{name}.gz").read_bytes()) == plain
    everything = list(range(30_000))
    assert await log.read() == everything
    for tail in (1, 3_000, 10_001, 29_999, 40_000):
        assert await log.read(tail=tail) == everything[-tail:]
    for number in (0, 5_000, 12_345, 29_999):
        assert await log.read(since_ns=stamp_of(number)) == everything[number:]
        assert await log.read(until_ns=stamp_of(number)) == everything[: number + 1]


@pytest.mark.parametrize("form", FORMS)
def test_what_was_rotated_when_the_compressor_had_looked_for_the_last_time_is_compressed_at_the_end(form, tmp_path):
    log = Log(tmp_path, form, compress=True)
    log.say(300)
    first = log.file._squeezer
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)  # as if the monitor had not come to reap it
    log.file.rotate()
    assert log.names.rotated()
    log.close()
    last, status = os.waitpid(-1, 0)
    while last == first:
        last, status = os.waitpid(-1, 0)
    assert status == 0
    directory = os.open(tmp_path, os.O_RDONLY)
    assert FORMS[form][0](directory, "log", 50).rotated() == []
    os.close(directory)


@pytest.mark.parametrize("form", FORMS)
async def test_nothing_is_lost_while_files_move_on_under_the_compressor(form, tmp_path):
    """Both list the directory all the time: each by a description of its own, or each would see a part of it."""
    log = Log(tmp_path, form, bytes_max=1_500, files_max=2_000, compress=True)
    for _ in range(150):
        log.say(1)
        reap(log)
    assert await log.read() == list(range(15_000))
    while log.file._squeezer:
        reap(log, flags=0)
    assert log.names.rotated() == []
    log.close()


async def test_a_file_that_has_an_older_ones_inode_is_not_taken_for_it(tmp_path, monkeypatch):
    """Not even when it is compressed while the log is being opened."""
    log = Log(tmp_path, "json-file", bytes_max=1_500)
    log.say(1)
    newer, older = log.names.rotated()[:2]
    log.compress(older)
    head = len(squeeze.GZIP_EXTRA) + 2 + squeeze.SUBFIELD.size
    with (tmp_path / f"{older}.gz").open("r+b") as file:
        file.seek(head)
        file.write(squeeze.INODE.pack((tmp_path / newer).stat().st_ino))
    really_open = files._open

    def open_and_compress(path):
        opened = really_open(path)
        if path == str(tmp_path / newer):
            log.compress(newer)
        return opened

    monkeypatch.setattr(files, "_open", open_and_compress)
    assert await log.read() == list(range(100))
    assert not (tmp_path / newer).exists()
    log.close()


def reap(log, *, flags=os.WNOHANG):
    """As its monitor does."""
    if log.file._squeezer:
        pid, status = os.waitpid(log.file._squeezer, flags)
        log.file.reaped(pid, well=not status)


def stamp_of(number):
    """Each hundred of lines has its own first stamp; no stamp ends in a zero."""
    first = 10**18 + number // 100 * 100 * 1000 + 1
    position = number % 100
    return first + position // 9 * 10 + position % 9


class Deadly:
    """A module whose calls end the process, before or after the call with the given number."""

    def __init__(self, module, dies_at):
        self.module, self.dies_at, self.numbers = module, dies_at, itertools.count()

    def __getattr__(self, name):
        found = getattr(self.module, name)
        if not isinstance(found, types.BuiltinFunctionType):
            return found

        def call(*arguments, **more):
            self.count()
            result = found(*arguments, **more)
            self.count()
            return result

        return call

    def count(self):
        if next(self.numbers) == self.dies_at:
            os._exit(KILLED)


def in_child(work, dies_at):
    pid = os.fork()
    if not pid:
        squeeze.os = Deadly(os, dies_at)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def test_every_point_of_death_leaves_a_whole_file(log, tmp_path):
    log.say(100)
    for dies_at in itertools.count():
        log.say(1)
        while not log.names.rotated():
            log.say(10)
        name = log.names.rotated()[0]
        status = in_child(lambda name=name: log.compress(name), dies_at)
        assert status in (0, KILLED)
        assert await log.read() == list(range(log.said))
        remove_temporaries(log.directory)
        assert not list(tmp_path.glob("*.tmp"))
        if not status:
            break
    assert dies_at > 20


async def test_a_file_that_moves_on_meanwhile_is_found_again(log, tmp_path, monkeypatch):
    log.say(100)
    name = log.names.rotated()[0]
    put_in_place = squeeze._put_in_place

    def late(*arguments):
        log.say(50)
        put_in_place(*arguments)

    monkeypatch.setattr(squeeze, "_put_in_place", late)
    log.compress(name)
    assert len(list(tmp_path.glob("*.gz"))) == 1
    assert not list(tmp_path.glob("*.tmp"))
    assert await log.read() == list(range(log.said))


def test_a_file_that_is_dropped_meanwhile_leaves_nothing(log, tmp_path, monkeypatch):
    log.say(100)
    name = log.names.rotated()[-1]
    put_in_place = squeeze._put_in_place

    def late(*arguments):
        log.file.clear()
        put_in_place(*arguments)

    monkeypatch.setattr(squeeze, "_put_in_place", late)
    log.compress(name)
    assert len(list(tmp_path.iterdir())) == 1


async def test_a_follower_does_not_see_twice_what_is_compressed_under_it(log):
    ended = asyncio.Event()
    seen = []

    async def follow():
        batches = log.reader().read(log.path, LogQuery(follow=True), ended=ended.wait())
        seen.extend([int(line.log.split()[1]) async for batch in batches for line in batch])

    task = asyncio.ensure_future(follow())
    for number in range(60):
        log.say(10)
        await asyncio.sleep(0.001 * (number % 3))
        for name in log.names.rotated():
            log.compress(name)
    ended.set()
    await task
    assert seen == list(range(log.said))


def test_an_index_leads_to_a_time_without_reading_what_is_before(tmp_path):
    log = Log(tmp_path, "local", bytes_max=None)
    log.say(20_000)
    (segment,) = SegmentFiles(log.path).open()
    segment.skip_to_time(stamp_of(1_500_000))
    assert segment.position > segment.end // 2
    read = sum(len(packet.text) for batch in segment.packets() for _, packet in batch)
    assert read < segment.end * 0.3
    segment.close()
    log.close()


async def test_a_follower_sees_nothing_twice_when_a_log_is_cleared_under_it(log):
    ended = asyncio.Event()
    seen = []

    async def follow():
        batches = log.reader().read(log.path, LogQuery(follow=True), ended=ended.wait())
        seen.extend([int(line.log.split()[1]) async for batch in batches for line in batch])

    task = asyncio.ensure_future(follow())
    for _ in range(30):
        log.say(10)
        await asyncio.sleep(0.002)
        await asyncio.to_thread(log.file.clear)
    ended.set()
    await task
    assert seen == sorted(set(seen))


async def test_a_damaged_block_costs_its_own_lines_only(tmp_path):
    log = Log(tmp_path, "local", bytes_max=900_000)
    log.say(2_000)
    name = log.names.rotated()[-1]
    log.compress(name)
    path = tmp_path / f"{name}.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    found = await log.read()
    assert found == sorted(set(found))
    assert found[0] == 0
    assert found[-1] == log.said - 1
    assert 0 < log.said - len(found) < 40_000
    log.close()
