"""Questions that are asked again, byte for byte, and can be answered at once: the parser and its tasks are spared.

Clients that wait for something ask the same over and over. What the HTTP library made of a head is what it would make
of the same bytes another time, so a head is looked up whole, and nothing of it is read here. The answer is made anew
each time, by the same route. What cannot be answered without waiting, or only with an error, goes the long way.
"""

import time
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from aiohttp.web import Response, StreamResponse

from wherry.model.errors import EngineError

# Those that somebody asks again and again; what was asked once is soon forgotten.
KNOWN_MAX = 16
HEAD_BYTES_MAX = 4096

Ask = Callable[[], Coroutine[Any, Any, StreamResponse]]


class Shortcuts:
    """The heads that came lately, and how to answer each."""

    def __init__(self, on_answer: Callable[[], None]) -> None:
        """Know none; `on_answer` is called for each answer that is given here."""
        self._known: dict[bytes, Ask] = {}
        self._on_answer = on_answer
        self._date = (0, b"")

    def learn(self, head: bytes, ask: Ask) -> None:
        """Remember what these bytes ask for: something that changes nothing."""
        if len(head) > HEAD_BYTES_MAX or head in self._known:
            return
        if len(self._known) >= KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[head] = ask

    def answer(self, head: bytes) -> bytes | None:
        """All bytes of the answer; None for what has to be asked the long way."""
        ask = self._known.get(head)
        response = None if ask is None else _at_once(ask())
        if ask is None or response is None:
            return None
        self._known[head] = self._known.pop(head)  # the last to be forgotten
        self._on_answer()
        return self._written(response)

    def _written(self, response: Response) -> bytes:
        body = response.body or b""
        assert isinstance(body, bytes)
        lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "Content-Length"]
        head = "\r\n".join(lines).encode()
        return b"%b\r\nContent-Length: %d\r\nDate: %b\r\n\r\n%b" % (head, len(body), self._now(), body)

    def _now(self) -> bytes:
        second = int(time.time())
        if second != self._date[0]:
            self._date = second, formatdate(second, usegmt=True).encode()
        return self._date[1]


def _at_once(asking: Coroutine[Any, Any, StreamResponse]) -> Response | None:
    """What it comes to if it does so without waiting, and without an error."""
    try:
        asking.send(None)
    except StopIteration as ended:
        response: StreamResponse = ended.value
        return response if isinstance(response, Response) else None
    except (EngineError, OSError):
        return None
    finally:
        asking.close()
    return None
