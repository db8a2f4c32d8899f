"""Signals by name or number, as `--signal` and STOPSIGNAL take them."""

import signal

from wherry.model.errors import InvalidParameter

DEFAULT_STOP_SIGNAL = signal.SIGTERM


def parse_signal(text: str) -> int:
    """`SIGTERM`, `term`, `15`, `RTMIN+3` as a number. Raises InvalidParameter (moby/sys/signal ParseSignal)."""
    if text.isdecimal():
        number = int(text)
        if number in _known():
            return number
        raise InvalidParameter(f"invalid signal: {text}")
    number = _named(text.upper().removeprefix("SIG"))
    if number == 0:
        raise InvalidParameter(f"invalid signal: {text}")
    return number


def supported_signal(text: str) -> int:
    """The same for a signal to be sent, where dockerd has other words for a number that is none."""
    if text.isdecimal() and int(text) and int(text) not in _known():
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
