"""What a check of disk and kernel against the records comes upon, as a value."""

from msgspec import Struct


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is there and that no record knows, or that a record knows and that is not there.

    `kind` is a noun, the same for all of its sort; `name` says which one: a path, a link, a digest, an id. `problem`
    and `remedy` go on after them in a sentence; `remedy` is what mending does, empty where nothing can be done.
    """

    kind: str
    name: str
    problem: str
    remedy: str = ""
