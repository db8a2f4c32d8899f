"""The ledger keeps records whole or not at all."""

import asyncio
import gc
import sqlite3

import msgspec
import pytest

from wherry.records.ledger import Ledger
from wherry.records.shelf import Shelf
from wherry.records.upgrades import STEPS, UnknownFormat


class Note(msgspec.Struct, frozen=True):
    text: str


async def test_what_was_put_is_there_after_opening_again(tmp_path):
    ledger = Ledger(tmp_path / "x.db")
    shelf = Shelf(ledger, "notes", Note)
    await shelf.put("a", Note("one"))
    await shelf.put("b", Note("two"))
    await shelf.remove("a")
    ledger.close()
    again = Ledger(tmp_path / "x.db")
    assert Shelf(again, "notes", Note).values() == [Note("two")]
    again.close()


async def test_a_thousand_writers_are_all_durable(tmp_path):
    ledger = Ledger(tmp_path / "x.db")
    shelf = Shelf(ledger, "notes", Note)
    await asyncio.gather(*(shelf.put(str(number), Note(str(number))) for number in range(1000)))
    reader = sqlite3.connect(tmp_path / "x.db")
    assert reader.execute("SELECT count(*) FROM notes").fetchone() == (1000,)
    reader.close()
    ledger.close()


async def test_updates_of_one_record_by_many_tasks_are_all_seen(tmp_path):
    ledger = Ledger(tmp_path / "x.db")
    shelf = Shelf(ledger, "notes", Note)
    await shelf.put("n", Note(""))
    await asyncio.gather(*(shelf.update("n", lambda note: Note(note.text + "x")) for _ in range(50)))
    assert shelf.get("n") == Note("x" * 50)
    ledger.close()


async def test_a_refused_write_leaves_the_old_record_in_memory(tmp_path):
    ledger = Ledger(tmp_path / "x.db")
    shelf = Shelf(ledger, "notes", Note)
    await shelf.put("n", Note("old"))
    blocker = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    blocker.execute("DROP TABLE notes")
    blocker.close()
    with pytest.raises(sqlite3.Error):
        await shelf.put("n", Note("new"))
    with pytest.raises(sqlite3.Error):
        await shelf.remove("n")
    assert shelf.get("n") == Note("old")
    ledger.close()


def test_a_newer_format_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()
    with pytest.raises(UnknownFormat):
        Ledger(tmp_path / "x.db")


async def test_what_is_held_is_durable_with_the_next_update(tmp_path):
    ledger = Ledger(tmp_path / "x.db")
    shelf = Shelf(ledger, "notes", Note)
    await shelf.put("n", Note("old"))
    shelf.hold("n", Note("held"))
    assert shelf.get("n") == Note("held")
    assert stored(tmp_path) == {"n": Note("old")}
    await shelf.update("n", lambda note: Note(f"{note.text} and kept"))
    assert stored(tmp_path) == {"n": Note("held and kept")}
    ledger.close()


async def test_what_is_foretold_is_durable_before_memory_says_so(tmp_path):
    ledger = Ledger(tmp_path / "x.db")
    shelf = Shelf(ledger, "notes", Note)
    await shelf.put("n", Note("old"))
    await shelf.foretell("n", Note("new"))
    assert shelf.get("n") == Note("old")
    assert stored(tmp_path) == {"n": Note("new")}
    ledger.close()


async def test_a_write_that_is_left_alone_may_fail_in_silence(tmp_path, caplog):
    ledger = Ledger(tmp_path / "x.db")
    shelf = Shelf(ledger, "notes", Note)
    blocker = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    blocker.execute("DROP TABLE notes")
    blocker.close()
    done = shelf.foretell("n", Note("new"))
    await asyncio.wait([done])
    del done
    gc.collect()
    assert caplog.text == ""
    ledger.close()


def stored(directory):
    reader = sqlite3.connect(directory / "x.db")
    try:
        return {key: msgspec.json.decode(body, type=Note) for key, body in reader.execute("SELECT * FROM notes")}
    finally:
        reader.close()
