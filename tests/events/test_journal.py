"""The history of events is there again after the daemon's death, bounded, whatever became of the file."""

import pytest

from wherry.events.bus import HISTORY_MAX, Bus
from wherry.events.journal import Journal
from wherry.model.event import Event


def event(number):
    return Event(kind="container", action="start", actor_id=str(number), attributes={"a": "é\n"}, time_ns=number)


@pytest.fixture
def journal(tmp_path):
    opened = []

    def make(events_max=4):
        opened.append(Journal(tmp_path / "events.jsonl", events_max=events_max))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def remembered(bus):
    return [one.time_ns for one in bus.history(since_ns=0)]


def test_the_next_bus_remembers_what_the_last_one_told(journal):
    Bus(journal()).publish(event(1))
    bus = Bus(journal())
    bus.publish(event(2))
    assert bus.history(since_ns=0) == [event(1), event(2)]
    assert remembered(Bus(journal())) == [1, 2]


def test_the_file_stays_bounded(journal, tmp_path):
    bus = Bus(journal(HISTORY_MAX))
    for number in range(3 * HISTORY_MAX + 5):
        bus.publish(event(number))
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert HISTORY_MAX <= len(lines) <= 2 * HISTORY_MAX
    assert remembered(Bus(journal(HISTORY_MAX))) == list(range(2 * HISTORY_MAX + 5, 3 * HISTORY_MAX + 5))
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_is_skipped_and_not_written_on(journal, tmp_path):
    Bus(journal()).publish(event(1))
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind":"cont')
    bus = Bus(journal())
    bus.publish(event(2))
    assert remembered(Bus(journal())) == [1, 2]


def test_what_was_half_written_beside_it_is_written_over(journal, tmp_path):
    (tmp_path / "events.new").write_text("rubbish" * 1000)
    bus = Bus(journal(1))
    for number in range(4):
        bus.publish(event(number))
    assert remembered(Bus(journal(1)))[-1] == 3


def test_a_disk_that_takes_nothing_costs_only_the_memory_of_it(journal, tmp_path, caplog):
    bus = Bus(journal(1))
    (tmp_path / "events.new").mkdir()  # the file cannot be made short any more
    for number in range(9):
        bus.publish(event(number))
    assert remembered(bus)[-1] == 8
    assert len(caplog.records) == 1
