"""A shelf: records of one type by key, read from memory, written through to the ledger."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from wherry.records.ledger import Change, Ledger, Put, Remove

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Staged:
    """A change that memory has already and the disk has not; `put_back` takes it out of memory again."""

    change: Change
    put_back: Callable[[], None]


class Shelf(Generic[T]):
    """A typed, durable mapping. Memory changes at once and is put back when the ledger refuses.

    So two tasks that update one record never lose each other's change, and whoever awaits a change knows that it
    is on disk. What must be there together, or not at all, is staged on its shelves and committed once.
    """

    def __init__(self, ledger: Ledger, table: str, kind: type[T]) -> None:
        """Read the whole table. Raises msgspec.DecodeError for a record that cannot be read."""
        self._ledger = ledger
        self._table = table
        self._records: dict[str, T] = {key: msgspec.json.decode(body, type=kind) for key, body in ledger.read(table)}

    def get(self, key: str) -> T | None:
        """The record, or None."""
        return self._records.get(key)

    def values(self) -> list[T]:
        """All records, oldest key first."""
        return list(self._records.values())

    def keys(self) -> list[str]:
        """All keys, oldest first."""
        return list(self._records)

    async def put(self, key: str, record: T) -> None:
        """Write a record; durable on return. Raises OSError, sqlite3.Error and leaves the old one."""
        await self.commit(self.stage(key, record))

    def hold(self, key: str, record: T) -> None:
        """Change what memory says, and so what the key's next `update` makes durable.

        For what a crash may forget, or what is durable elsewhere until then.
        """
        self._records[key] = record

    def foretell(self, key: str, record: T) -> "asyncio.Future[None]":
        """Write what will be true soon, and is held or put then. Whatever is written in between writes over it.

        The future is done when it is durable and raises OSError, sqlite3.Error.
        """
        return self._ledger.submit(Put(self._table, key, msgspec.json.encode(record)))

    async def update(self, key: str, change: Callable[[T], T]) -> T:
        """Replace a record by what `change` makes of it; durable on return. Raises KeyError when it is gone."""
        record = change(self._records[key])
        await self.put(key, record)
        return record

    async def remove(self, key: str) -> None:
        """Remove a record; a missing one is fine. Raises OSError, sqlite3.Error and keeps it."""
        await self.commit(self.stage_removal(key))

    def stage(self, key: str, record: T) -> Staged:
        """Write a record into memory, to be made durable by `commit`, maybe together with others."""
        old = self._records.get(key)
        self._records[key] = record
        return Staged(
            Put(self._table, key, msgspec.json.encode(record)), lambda: self._put_back(key, record=record, old=old)
        )

    def stage_removal(self, key: str) -> Staged:
        """The same for the removal of a record; a missing one is fine."""
        old = self._records.pop(key, None)
        return Staged(Remove(self._table, key), lambda: self._put_back(key, record=None, old=old))

    async def commit(self, *staged: Staged) -> None:
        """Make changes of any shelves durable, all or none. Raises OSError, sqlite3.Error and takes them back."""
        try:
            await self._ledger.commit(*(each.change for each in staged))
        except Exception:
            # Whatever the ledger could not write must not stand in memory either.
            for each in reversed(staged):
                each.put_back()
            raise

    def _put_back(self, key: str, *, record: T | None, old: T | None) -> None:
        if self._records.get(key) is not record:
            return
        if old is None:
            self._records.pop(key, None)
        else:
            self._records[key] = old
