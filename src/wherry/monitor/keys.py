"""Detach keys in a stream of input: they are taken out, all else goes on (moby pkg term.EscapeProxy)."""


class DetachKeys:
    """Looks for one sequence of bytes, also when it comes in pieces."""

    def __init__(self, keys: bytes) -> None:
        """Look for `keys`; empty looks for nothing."""
        self._keys = keys
        self._seen = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """The input to pass on, and whether the keys were complete. What began like them is held back meanwhile."""
        if not self._keys or (not self._seen and self._keys[0] not in data):
            return data, False
        passed = bytearray()
        for byte in data:
            if byte != self._keys[self._seen]:
                passed += self._keys[: self._seen]
                self._seen = 0
            if byte != self._keys[self._seen]:
                passed.append(byte)
                continue
            self._seen += 1
            if self._seen == len(self._keys):
                self._seen = 0
                return bytes(passed), True
        return bytes(passed), False
