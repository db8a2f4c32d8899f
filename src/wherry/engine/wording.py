"""What was being done, put before an error's own words, as dockerd words it."""

from collections.abc import Iterator
from contextlib import contextmanager

from wherry.model.errors import EngineError


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Errors of the block as `doing: words`, of their own class and so of their own status."""
    try:
        yield
    except EngineError as error:
        raise type(error)(f"{doing}: {error}") from None
