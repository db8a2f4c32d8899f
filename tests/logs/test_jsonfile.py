"""Logs are read as they were written: whole, from the end, between times, and while they grow and rotate."""

import asyncio
import contextlib
import os
import time

import pytest

from wherry.logs.driver import LogQuery
from wherry.logs.jsonfile import JsonFileLogs
from wherry.logs.none import NoLog
from wherry.model.clock import parse_rfc3339
from wherry.model.errors import Unsupported

SECOND = 1_000_000_000
START = parse_rfc3339("2026-01-01T00:00:00Z")


def record(number, stream="stdout", text=None):
    text = f"line {number}\\n" if text is None else text
    fraction = f".{number % 10}" if number % 10 else ""
    time = f"2026-01-01T00:{number // 600:02}:{number // 10 % 60:02}{fraction}Z"
    return f'{{"log":"{text}","stream":"{stream}","time":"{time}"}}\n'


@pytest.fixture
def log(tmp_path):
    return tmp_path / "x-json.log"


async def read(path, **wishes):
    ended = wishes.pop("ended", None)
    return [line async for batch in JsonFileLogs().read(str(path), LogQuery(**wishes), ended=ended) for line in batch]


async def numbers(path, **wishes):
    return [int(line.log.split()[1]) for line in await read(path, **wishes)]


async def test_all_lines_come_in_order(log):
    log.write_text("".join(record(number) for number in range(5000)))
    assert await numbers(log) == list(range(5000))


async def test_a_log_that_is_not_there_is_empty(log):
    assert await read(log) == []


async def test_rotated_files_come_first(log):
    log.with_suffix(".log.2").write_text(record(1) + record(2))
    log.with_suffix(".log.1").write_text(record(3))
    log.write_text(record(4))
    assert await numbers(log) == [1, 2, 3, 4]


@pytest.mark.parametrize("tail", [0, 1, 2, 3, 500, 999, 1000, 1001, 5000])
async def test_the_tail_counts_over_files(log, tail):
    log.with_suffix(".log.1").write_text("".join(record(number) for number in range(600)))
    log.write_text("".join(record(number) for number in range(600, 1000)))
    assert await numbers(log, tail=tail) == list(range(1000))[max(0, 1000 - tail) :]


async def test_the_tail_counts_before_the_other_conditions(log):
    log.write_text("".join(record(number, stream=("stdout", "stderr")[number % 2]) for number in range(10)))
    assert await numbers(log, tail=4, stderr=False) == [6, 8]


async def test_since_and_until_are_inclusive(log):
    log.write_text("".join(record(number) for number in range(100)))
    tenth = SECOND // 10
    assert await numbers(log, since_ns=START + 95 * tenth) == [95, 96, 97, 98, 99]
    assert await numbers(log, until_ns=START + 3 * tenth) == [0, 1, 2, 3]
    assert await numbers(log, since_ns=START + 10 * tenth, until_ns=START + 11 * tenth) == [10, 11]
    assert await numbers(log, since_ns=START + 10 * tenth + 1, until_ns=START + 12 * tenth - 1) == [11]


async def test_streams_are_chosen(log):
    log.write_text(record(1) + record(2, stream="stderr"))
    assert await numbers(log, stdout=False) == [2]
    assert await numbers(log, stderr=False) == [1]


async def test_garbage_and_half_records_are_left_out(log):
    log.write_bytes(record(1).encode() + b"\0" * 100 + b"\n" + b"not json\n" + record(2).encode() + b'{"log":"ha')
    assert await numbers(log) == [1, 2]


async def test_a_line_knows_its_time_and_text(log):
    log.write_text(record(7, text="\\u003ctab\\u0009\\u003e"))
    (line,) = await read(log, timestamps=True)
    assert line.text == b"<tab\t>"
    assert line.time_ns == START + 7 * SECOND // 10


async def test_a_follower_sees_what_comes_and_stops_at_the_end(log):
    log.write_text(record(1))
    ended = asyncio.Event()
    reader = JsonFileLogs().read(str(log), LogQuery(follow=True), ended=ended.wait())
    assert [line.log for line in await anext(reader)] == ["line 1\n"]
    with log.open("a") as file:
        file.write(record(2) + record(3)[:20])
        file.flush()
        assert [line.log for line in await anext(reader)] == ["line 2\n"]
        file.write(record(3)[20:])
        file.flush()
        assert [line.log for line in await anext(reader)] == ["line 3\n"]
        file.write(record(4))
    ended.set()
    assert [line.log async for batch in reader for line in batch] == ["line 4\n"]


async def test_a_follower_may_come_before_the_log(log):
    ended = asyncio.Event()
    reader = JsonFileLogs().read(str(log), LogQuery(follow=True), ended=ended.wait())
    first = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    log.write_text(record(1))
    assert [line.log for line in await first] == ["line 1\n"]
    await reader.aclose()


@pytest.mark.parametrize("files_max", [1, 2, 5])
async def test_a_follower_that_keeps_up_misses_no_rotation(log, files_max):
    ended, more = asyncio.Event(), asyncio.Event()
    heard = []

    async def follow():
        async for batch in JsonFileLogs().read(str(log), LogQuery(follow=True), ended=ended.wait()):
            heard.extend(int(line.log.split()[1]) for line in batch)
            more.set()

    log.write_text("")
    following = asyncio.ensure_future(follow())
    written = 0
    for _ in range(20):
        for _ in range(3):
            append(log, written)
            written += 1
        async with asyncio.timeout(10):
            while len(heard) < written:
                more.clear()
                await more.wait()
        append(log, written)
        written += 1
        rotate(log, files_max)
    append(log, written)
    ended.set()
    await following
    # Also what was written right before an unlink: it can still be read through the open file.
    assert heard == list(range(81))


def append(log, number):
    with log.open("a") as file:
        file.write(record(number))


def rotate(log, files_max):
    if files_max < 2:
        log.unlink()
    for number in range(files_max - 1, 1, -1):
        older = log.with_suffix(f".log.{number - 1}")
        if older.exists():
            older.rename(log.with_suffix(f".log.{number}"))
    if files_max > 1:
        log.rename(log.with_suffix(".log.1"))
    log.write_text("")


async def test_a_follower_lets_go_of_everything(log):
    log.write_text(record(1))
    before = len(os.listdir("/proc/self/fd"))
    reader = JsonFileLogs().read(str(log), LogQuery(follow=True), ended=asyncio.Event().wait())
    await anext(reader)
    await reader.aclose()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_future_that_others_wait_for_is_not_cancelled(log):
    log.write_text(record(1))
    ended = asyncio.get_running_loop().create_future()
    reader = JsonFileLogs().read(str(log), LogQuery(follow=True), ended=ended)
    await anext(reader)
    await reader.aclose()
    assert not ended.cancelled()


async def test_a_follower_stops_at_until(log):
    log.write_text(record(1))
    assert await numbers(log, follow=True, until_ns=time.time_ns() + SECOND // 5) == [1]


async def test_the_driver_none_cannot_be_read(log):
    with pytest.raises(Unsupported, match="configured logging driver does not support reading"):
        await anext(NoLog().read(str(log), LogQuery()))


async def test_any_number_of_followers_takes_one_inotify_instance(tmp_path):
    """A user may have 128 of them, and so many containers' logs are soon followed."""

    async def follow(number, seen):
        path = tmp_path / str(number) / "x-json.log"
        path.parent.mkdir()
        path.write_text(record(1))
        ended = asyncio.Event()
        async for batch in JsonFileLogs().read(str(path), LogQuery(follow=True), ended=ended.wait()):
            seen.append(number)
            if len(batch) and seen.count(number) == 1:
                with path.open("a") as file:
                    file.write(record(2))
            else:
                ended.set()

    def instances():
        links = []
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # what listed them is gone
                links.append(os.readlink(f"/proc/self/fd/{fd}"))
        return links.count("anon_inode:inotify")

    seen = []
    tasks = [asyncio.ensure_future(follow(number, seen)) for number in range(200)]
    await asyncio.sleep(0)  # each has opened its log by now
    assert instances() == 1
    await asyncio.gather(*tasks)
    assert sorted(seen) == sorted([*range(200), *range(200)])
    assert instances() == 0
