"""A limit as a value: which controller, which file, which text."""

from typing import NamedTuple


class Write(NamedTuple):
    """One text to be written into one file of one controller.

    `instead` is tried when the kernel has no such file; `optional` lets the write go when there is none at all,
    because the kernel without the file already does what the text says.
    """

    controller: str
    file: str
    text: str
    instead: "Write | None" = None
    optional: bool = False


Writes = tuple[Write, ...]
