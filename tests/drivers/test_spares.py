"""Monitors that wait for a container: there after a start, used by the next one, gone when nothing follows."""

import asyncio
import os
import select
import signal
from pathlib import Path

import pytest

from wherry.drivers import spares
from wherry.drivers.native import NativeDriver
from wherry.monitor import midwife, spare

pytestmark = pytest.mark.usefixtures("leaves_no_trace")


def stats():
    """(pid, name, parent) of every process."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = path.read_text().rpartition(")")
        except OSError:
            continue  # it ended meanwhile
        pid, _, name = before.partition(" (")
        yield int(pid), name, int(after.split()[1])


def waiting(name=spare.NAME):
    return sorted(pid for pid, one, _ in stats() if one == name)


def parent(pid):
    return next(above for one, _, above in stats() if one == pid)


async def until(true):
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.005)


async def full(driver):
    """Wait until as many are there as there may be."""
    await until(lambda: len(driver._monitors.spares._waiting) == spares.SPARES)
    await until(lambda: len(waiting(midwife.NAME)) == spares.SPARES)


async def run(driver, boxes):
    """Start a container and end it; its monitor's pid."""
    process = await driver.start(boxes.birth("sleep", "1000"))
    monitor = parent(process.pid)
    await process.signal(signal.SIGKILL)
    await process.wait()
    await driver.forget(process.id)
    return monitor


async def test_an_idle_driver_has_none_and_one_that_started_something_has_some(driver, boxes):
    assert not driver._monitors.spares._waiting
    await run(driver, boxes)
    await full(driver)


async def test_the_next_start_is_by_one_that_waited(driver, boxes):
    await run(driver, boxes)
    await full(driver)
    before = waiting()
    assert await run(driver, boxes) in before


async def test_when_nothing_follows_they_are_gone(driver, boxes, monkeypatch):
    await run(driver, boxes)
    await full(driver)
    monkeypatch.setattr(spares, "IDLE_SECONDS", 0.05)
    driver._monitors.spares.expect_more()
    await until(lambda: not driver._monitors.spares._waiting)
    await until(lambda: not waiting() and not waiting(midwife.NAME))


@pytest.mark.parametrize("name", [spare.NAME, midwife.NAME])
async def test_killed_ones_cost_nothing(driver, boxes, name):
    await run(driver, boxes)
    await full(driver)
    for pid in waiting(name):
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not waiting(name))
    for _ in range(spares.SPARES + 1):
        await run(driver, boxes)


async def test_they_end_with_their_driver(boxes, tmp_path, monkeypatch):
    monkeypatch.setattr(spares, "IDLE_SECONDS", 1000)  # not because nothing follows
    driver = NativeDriver(str(tmp_path / "another"))
    await driver.open()
    await run(driver, boxes)
    await full(driver)
    pids = [*waiting(), *waiting(midwife.NAME)]
    pidfds = [os.pidfd_open(pid) for pid in pids]
    await driver.close()
    # They have let go of everything; the kernel may still be busy with their end, as may who reaps them.
    still = [pidfd for pidfd in pidfds if not select.select([pidfd], [], [], 30)[0]]
    for pidfd in pidfds:
        os.close(pidfd)
    assert not still


async def test_they_are_good_without_their_nursery_and_go_with_the_keeper(driver, boxes):
    await run(driver, boxes)
    await full(driver)
    before = driver._monitors.nursery.pid
    keeper, ours = parent(before), waiting()
    os.kill(before, signal.SIGKILL)
    await until(lambda: driver._monitors.nursery.pid not in (0, before))
    assert await run(driver, boxes) in ours
    await full(driver)
    os.kill(keeper, signal.SIGKILL)
    await until(lambda: not driver._monitors.spares._waiting)
    await run(driver, boxes)
