"""A shelf: records of one type by key, read from memory, written through to the ledger."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from wherry.records.ledger import Ledger, Put, Remove

T = TypeVar("T", bound=msgspec.Struct)


class Shelf(Generic[T]):
    """A typed, durable mapping. Memory changes at once and is put back when the ledger refuses.

    So two tasks that update one record never lose each other's change, and whoever awaits a change knows that it
    is on disk.
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
        """Write a record; durable on return. Raises sqlite3.Error and leaves the old one."""
        old = self._records.get(key)
        self._records[key] = record
        try:
            await self._ledger.commit(Put(self._table, key, msgspec.json.encode(record)))
        except Exception:
            self._put_back(key, record, old)
            raise

    def hold(self, key: str, record: T) -> None:
        """Change what memory says, and so what the key's next `update` makes durable.

        For what a crash may forget, or what is durable elsewhere until then.
        """
        self._records[key] = record

    def foretell(self, key: str, record: T) -> "asyncio.Future[None]":
        """Write what will be true soon, and is held or put then. Whatever is written in between writes over it.

        The future is done when it is durable and raises sqlite3.Error.
        """
        return self._ledger.submit(Put(self._table, key, msgspec.json.encode(record)))

    async def update(self, key: str, change: Callable[[T], T]) -> T:
        """Replace a record by what `change` makes of it; durable on return. Raises KeyError when it is gone."""
        record = change(self._records[key])
        await self.put(key, record)
        return record

    async def remove(self, key: str) -> None:
        """Remove a record; a missing one is fine. Raises sqlite3.Error and keeps it."""
        old = self._records.pop(key, None)
        try:
            await self._ledger.commit(Remove(self._table, key))
        except Exception:
            if old is not None:
                self._records.setdefault(key, old)
            raise

    def _put_back(self, key: str, record: T, old: T | None) -> None:
        if self._records.get(key) is not record:
            return
        if old is None:
            del self._records[key]
        else:
            self._records[key] = old
