"""The keys that end a session and leave the process alone, such as `ctrl-p,ctrl-q`."""

DEFAULT = b"\x10\x11"

_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"
_PREFIX = "ctrl-"


def detach_key_bytes(text: str) -> bytes:
    """What a terminal sends for the keys; the default for an empty text (moby term.ToBytes). Raises ValueError."""
    if not text:
        return DEFAULT
    return bytes(_key(word) for word in text.split(","))


def _key(word: str) -> int:
    if len(word) == 1 and word.isascii():
        return ord(word)
    letter = word.removeprefix(_PREFIX)
    if letter == word or len(letter) != 1 or letter not in _CONTROL:
        raise ValueError(f"Unknown character: '{word}'")
    return _CONTROL.index(letter)
