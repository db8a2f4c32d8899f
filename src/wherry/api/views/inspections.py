"""What inspect shows of a container as JSON, encoded once for as long as none of it is another.

Clients that wait for something ask again and again, mostly for what they have seen already.
"""

from wherry.api.answers import encode
from wherry.api.views.container import inspection_view
from wherry.engine.inspect import Inspection

# Those that somebody waits for; removed ones are forgotten with the next few.
INSPECTIONS_MAX = 16


class Inspections:
    """Those that were asked for lately."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[str, tuple[Inspection, bytes]] = {}

    def encode(self, inspection: Inspection) -> bytes:
        """The body of `GET /containers/{id}/json`."""
        container = inspection.container
        known, body = self._known.get(container.id, (None, b""))
        # Records are replaced and never changed, so most that is compared here is the same object.
        if known != inspection:
            pid = container.state.pid
            body = encode(inspection_view(inspection, sandbox_key=f"/proc/{pid}/ns/net" if pid else ""))
            self._known.pop(container.id, None)
            if len(self._known) >= INSPECTIONS_MAX:
                del self._known[next(iter(self._known))]
            self._known[container.id] = inspection, body
        return body
