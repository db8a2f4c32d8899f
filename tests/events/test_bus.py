"""The bus tells everybody in order and never waits for a slow reader."""

import asyncio

from wherry.events.bus import HISTORY_MAX, WAITING_MAX, Bus
from wherry.model.event import Event


def event(number: int, kind: str = "container") -> Event:
    return Event(kind=kind, action="start", actor_id=str(number), attributes={}, time_ns=number)


async def test_subscribers_get_what_they_want_in_order():
    bus = Bus()
    with bus.subscribe(lambda happened: happened.kind == "image") as images:
        for number in range(6):
            bus.publish(event(number, "image" if number % 2 else "container"))
        got = [await anext(aiter(images)) for _ in range(3)]
    assert [one.actor_id for one in got] == ["1", "3", "5"]


def test_the_daemon_itself_is_not_among_those_who_listen():
    bus = Bus()
    with bus.subscribe(lambda _: True), bus.subscribe(lambda _: True, is_own=True):
        assert bus.subscribers == 1


async def test_a_reader_that_sleeps_loses_its_place_and_costs_nothing():
    bus = Bus()
    with bus.subscribe(lambda _: True) as sleeper:
        for number in range(WAITING_MAX + 10):
            bus.publish(event(number))
        seen = [one async for one in sleeper]
    assert len(seen) == WAITING_MAX


async def test_history_is_bounded_and_inclusive():
    bus = Bus()
    for number in range(HISTORY_MAX + 5):
        bus.publish(event(number))
    assert len(bus.history(since_ns=0)) == HISTORY_MAX
    assert [one.time_ns for one in bus.history(since_ns=100, until_ns=102)] == [100, 101, 102]
    await asyncio.sleep(0)
