"""Signals by name or number, as `--signal` and STOPSIGNAL take them."""

import re
import signal

from wherry.model.errors import InvalidParameter

DEFAULT_STOP_SIGNAL = signal.SIGTERM
# As Go's Atoi reads it; longer ones are no signal's.
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


def parse_signal(text: str) -> int:
    """`SIGTERM`, `term`, `15`, `RTMIN+3` as a number. Raises InvalidParameter (moby/sys/signal ParseSignal)."""
    number = int(text) if _NUMBER.fullmatch(text) else _named(text.upper().removeprefix("SIG"))
    if number not in _known():
        raise InvalidParameter(f"invalid signal: {text}")
    return number


def supported_signal(text: str) -> int:
    """The same for a signal to be sent, where dockerd has other words for a number that is none."""
    if _NUMBER.fullmatch(text) and int(text) and int(text) not in _known():
        raise InvalidParameter(f"the linux daemon does not support signal {int(text)}")
    return parse_signal(text)


def _known() -> range:
    return range(1, signal.SIGRTMAX + 1)


def _named(name: str) -> int:
    for base, edge in (("RTMIN+", signal.SIGRTMIN), ("RTMAX-", signal.SIGRTMAX)):
        if name.startswith(base) and name.removeprefix(base).isdecimal():
            offset = int(name.removeprefix(base))
            number = int(edge) + (offset if base.endswith("+") else -offset)
            return number if signal.SIGRTMIN <= number <= signal.SIGRTMAX else 0
    known: signal.Signals | None = getattr(signal.Signals, f"SIG{name}", None)
    return int(known) if known is not None else 0
