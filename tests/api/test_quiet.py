"""Quiet is noticed once after a burst, and nothing ticks before or after."""

import asyncio

from wherry.api.quiet import Quiet


async def test_it_is_told_once_when_the_last_touch_is_old_enough():
    told = asyncio.Event()
    times = []

    def hear():
        times.append(asyncio.get_running_loop().time())
        told.set()

    quiet = Quiet(hear, seconds=0.05)
    for _ in range(5):
        quiet.touch()
    quiet._touched += 0.05  # as if the last one had come later
    due = quiet._touched + 0.05
    await told.wait()
    assert len(times) == 1
    assert times[0] >= due - 0.001
    assert not waiting()
    told.clear()
    quiet.touch()
    await told.wait()
    assert len(times) == 2


async def test_it_can_be_forgotten():
    quiet = Quiet(lambda: None, seconds=0.05)
    quiet.touch()
    assert waiting()
    quiet.cancel()
    assert not waiting()


def waiting():
    """The loop's timers that are still to come."""
    return [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]
