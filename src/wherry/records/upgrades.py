"""The format of the ledger's file: its version, and the steps from each older one."""

import sqlite3
from collections.abc import Callable

# Step n turns a file of version n into one of version n + 1. Version 0 is an empty file.
STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (lambda _connection: None,)


class UnknownFormat(RuntimeError):
    """The file was written by a newer Wherry."""


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest version, each step in a transaction. Raises UnknownFormat."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise UnknownFormat(f"the ledger has format {version}; this version of Wherry knows up to {len(STEPS)}")
    for number in range(version, len(STEPS)):
        connection.execute("BEGIN IMMEDIATE")
        STEPS[number](connection)
        connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
