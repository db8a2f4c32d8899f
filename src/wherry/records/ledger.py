"""One SQLite file, one writer thread: changes are queued, grouped into a transaction, durable when awaited.

On disk: `wherry.db` (WAL, synchronous FULL). Each shelf is a STRICT table `name(key TEXT PRIMARY KEY, body BLOB)`
whose body is the record as JSON; `PRAGMA user_version` is the format's version (see `upgrades`). Beside it lies
`reserve/`, room that a full disk gets back.
"""

import asyncio
import errno
import os
import queue
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wherry.crashpoints import crash_point
from wherry.records.reserve import Reserve
from wherry.records.upgrades import upgrade

CHANGES_PER_COMMIT_MAX = 512
# The faults of a disk among SQLite's result codes (sqlite.org/rescode.html), as the system's own errors.
_FAULTS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_CANTOPEN: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
}


@dataclass(frozen=True, slots=True)
class Put:
    """Write a record, new or not."""

    table: str
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a record; a missing one is fine."""

    table: str
    key: str


Change = Put | Remove


@dataclass(frozen=True, slots=True)
class _Job:
    changes: Sequence[Change]
    done: "asyncio.Future[None]"
    loop: asyncio.AbstractEventLoop

    def settle(self, error: BaseException | None) -> None:
        # The loop may be gone when the daemon is ending; the change itself is durable all the same.
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._resolve, error)

    def _resolve(self, error: BaseException | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Ledger:
    """The database. Reading happens once, at the start; afterwards shelves answer from memory."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises OSError, sqlite3.DatabaseError, and UnknownFormat for a newer daemon's file."""
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._reserve = Reserve(path.parent / "reserve")
        self._connection = self._open()
        self._reserve.keep()
        self._writer = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._writer.start()

    def read(self, table: str) -> list[tuple[str, bytes]]:
        """All records of a table, which is made when it is not there. To be called before the first commit."""
        self._connection.execute(f'CREATE TABLE IF NOT EXISTS "{table}" (key TEXT PRIMARY KEY, body BLOB) STRICT')
        return self._connection.execute(f'SELECT key, body FROM "{table}"').fetchall()  # noqa: S608 - our own names

    def submit(self, *changes: Change) -> "asyncio.Future[None]":
        """All changes or none, after those submitted before; durable when the future is done.

        The future raises OSError for a fault of the disk, else sqlite3.Error; it may be left alone.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        done.add_done_callback(_look_at)
        self._jobs.put(_Job(changes, done, loop))
        return done

    async def commit(self, *changes: Change) -> None:
        """All changes or none; durable on return. Raises OSError for a fault of the disk, sqlite3.Error."""
        # A caller that is cancelled gives up waiting; the change itself is not taken back.
        await asyncio.shield(self.submit(*changes))

    def close(self) -> None:
        """Write what is queued, and close the file."""
        self._jobs.put(None)
        self._writer.join()
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self._path)
        except sqlite3.OperationalError as error:
            if not self._reserve.spend():
                raise _told(error, self._path) from error
            return _connect(self._path)

    def _write_all(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            ending = self._gather(jobs)
            self._write(jobs)
            if ending:
                return

    def _gather(self, jobs: list[_Job]) -> bool:
        """Take what else is waiting, up to a bound; True when the end was called for."""
        while len(jobs) < CHANGES_PER_COMMIT_MAX:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return False
            if job is None:
                return True
            jobs.append(job)
        return False

    def _write(self, jobs: list[_Job]) -> None:
        """One transaction for all; when that fails, one for each, so that one bad job does not fail the others."""
        try:
            self._transact([change for job in jobs for change in job.changes])
        except sqlite3.Error:
            for job in jobs:
                self._write_alone(job)
        else:
            for job in jobs:
                job.settle(None)
            if self._reserve.is_spent:
                self._reserve.keep()

    def _write_alone(self, job: _Job) -> None:
        try:
            try:
                self._transact(job.changes)
            except sqlite3.OperationalError:
                if not self._reserve.spend():
                    raise
                self._transact(job.changes)
        except sqlite3.Error as error:
            job.settle(_told(error, self._path))
        else:
            job.settle(None)

    def _transact(self, changes: Sequence[Change]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for change in changes:
                self._apply(change)
            crash_point("ledger.written")
            self._connection.execute("COMMIT")
            crash_point("ledger.committed")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _apply(self, change: Change) -> None:
        match change:
            case Put(table, key, body):
                self._connection.execute(f'INSERT OR REPLACE INTO "{table}" VALUES (?, ?)', (key, body))  # noqa: S608
            case Remove(table, key):
                self._connection.execute(f'DELETE FROM "{table}" WHERE key = ?', (key,))  # noqa: S608


def _look_at(done: "asyncio.Future[None]") -> None:
    """Whoever waits gets the error; that nobody does is no news."""
    if not done.cancelled():
        done.exception()


def _told(error: sqlite3.Error, path: Path) -> Exception:
    """A fault of the disk as the system's own error."""
    number = _FAULTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return error if number is None else OSError(number, os.strerror(number), str(path))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=5000")
    upgrade(connection)
    return connection
