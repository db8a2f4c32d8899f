"""A log writer that is killed anywhere is continued by another: nothing is lost, nothing comes twice."""

import itertools
import os
import random
import types

import msgspec
import pytest

from wherry.logs.segments import SegmentFiles
from wherry.monitor import journal, logfile, lognames
from wherry.monitor.jsonlog import Json
from wherry.monitor.logfile import LogFile
from wherry.monitor.lognames import Numbered, Shifted
from wherry.monitor.logwriter import LogWriter
from wherry.monitor.packed import ATTRIBUTES, GOES_ON, Packed, stamps

KILLED = 9
LINES = [f"line {number} {'x' * (number % 50)}\n".encode() for number in range(160)]
LINES[100] = b"y" * 20_000 + b"\n"
LINES[120] = "tabs\tand <tags> & ümlauts \x7f\n".encode()


def writer(directory, bytes_max, files_max, form="json-file", *, compress=False):
    directory_fd = os.open(directory, os.O_RDONLY)
    names, record = (Shifted, Json()) if form == "json-file" else (Numbered, Packed())
    names = names(directory_fd, "x.log", files_max)
    file = LogFile(directory_fd, names, record, bytes_max=bytes_max, compress=compress)
    journal_fd = os.open(directory / "journal", os.O_RDWR | os.O_CREAT)
    return LogWriter(file, journal_fd, on_loss=lambda error: (_ for _ in ()).throw(error))


def text_of(directory, form="json-file"):
    return packed_text_of(directory) if form == "local" else json_text_of(directory)


def packed_text_of(directory):
    times, texts = [], []
    for segment in SegmentFiles(str(directory / "x.log")).open():
        for batch in segment.packets():
            for _, packet in batch:
                assert packet.lines == max(packet.text.count(b"\n"), packet.kind != ATTRIBUTES)
                texts.append(packet.text if packet.kind != ATTRIBUTES else b"")
                times += [] if packet.kind & (GOES_ON | ATTRIBUTES) else stamps(packet.first_ns, packet.lines)
        assert segment.position == segment.end
        segment.close()
    assert times == sorted(set(times))
    return b"".join(texts).decode()


def json_text_of(directory):
    def age(path):
        return -int(path.suffix[1:]) if path.suffix[1:].isdecimal() else 1

    files = sorted(directory.glob("x.log*"), key=age)
    records = [msgspec.json.decode(line) for path in files for line in path.read_bytes().splitlines()]
    times = [record["time"] for record in records if record["log"].endswith("\n")]
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    return "".join(record["log"] for record in records)


class Deadly:
    """A module whose calls end the process: before or after the call with the given number."""

    def __init__(self, module, dies_at):
        self._module = module
        self._dies_at = dies_at

    def __getattr__(self, name):
        found = getattr(self._module, name)
        if not isinstance(found, types.BuiltinFunctionType) or name in {"fstat", "close"}:
            return found

        def call(*arguments, **more):
            self._count()
            result = found(*arguments, **more)
            self._count()
            return result

        return call

    def _count(self):
        if next(self.numbers) == self._dies_at:
            os._exit(KILLED)


def run_once(directory, pipe, chunks, rotation, dies_at, form):
    """In a child: finish what was in hand, read so many more chunks; killed at one point."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    Deadly.numbers = itertools.count()
    deadly = Deadly(os, dies_at)
    journal.os = logfile.os = lognames.os = deadly
    made = writer(directory, *rotation, form)
    made.resume()
    try:
        for _ in range(chunks):
            made.read(pipe, 0)
    except BlockingIOError:
        pass
    os._exit(0)


@pytest.mark.parametrize("form", ["json-file", "local"])
@pytest.mark.parametrize("rotation", [(None, 1), (5000, 1000), (60_000, 1000)])
def test_every_point_of_death_is_survived(tmp_path, rotation, form):
    data = b"".join(LINES)
    for dies_at in itertools.count():
        directory = tmp_path / str(dies_at)
        directory.mkdir()
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        sent = 0
        cuts = random.Random(dies_at)
        status = 0
        # One chunk at a time; the writer is killed with each until it gets through.
        while sent < len(data):
            size = cuts.choice((100, 5_000, 20_000))
            os.write(writing, data[sent : sent + size])
            sent += size
            status = run_once(directory, reading, 1, rotation, dies_at, form)
            assert status in (0, KILLED)
            if status:
                assert run_once(directory, reading, 1, rotation, -1, form) == 0
        os.close(writing)
        last = writer(directory, *rotation, form)
        last.resume()
        last.end(0)
        last.close()
        os.close(reading)
        assert text_of(directory, form) == data.decode()
        if dies_at > 30 and not status:
            break


def test_a_prompt_is_logged_when_its_stream_ends(tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    made = writer(tmp_path, None, 1)
    os.write(writing, b"login: ")
    made.read(reading, 0)
    assert text_of(tmp_path) == ""
    made.end(0)
    assert text_of(tmp_path) == "login: "
    made.close()
    os.close(reading)
    os.close(writing)


def test_a_writer_that_has_rested_goes_on_where_it_was(tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    made = writer(tmp_path, None, 1)
    for data in (b"first\nhalf a ", b"line\n", b"no newline"):
        os.write(writing, data)
        made.read(reading, 0)
        made.rest()
    made.end(0)
    made.close()
    assert text_of(tmp_path) == "first\nhalf a line\nno newline"
    os.close(reading)
    os.close(writing)


def test_two_streams_do_not_mix_their_unfinished_lines(tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    made = writer(tmp_path, None, 1)
    for data, stream in ((b"out ", 0), (b"err ", 1), (b"put\n", 0), (b"or\n", 1)):
        os.write(writing, data)
        made.read(reading, stream)
    assert text_of(tmp_path) == "output\nerror\n".replace("output", "out put").replace("error", "err or")
    made.close()
    os.close(reading)
    os.close(writing)


def test_a_single_file_is_begun_anew(tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    made = writer(tmp_path, 1000, 1)
    for number in range(100):
        os.write(writing, b"line %d\n" % number)
        made.read(reading, 0)
    made.close()
    assert (tmp_path / "x.log").stat().st_size < 1100
    assert text_of(tmp_path).endswith("line 99\n")
    assert not (tmp_path / "x.log.1").exists()
    os.close(reading)
    os.close(writing)
