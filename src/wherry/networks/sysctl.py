"""The host's network parameters in /proc/sys/net, of the network namespace that the caller is in."""

from pathlib import Path

_ROOT = Path("/proc/sys/net")


def read(name: str) -> str:
    """A parameter by its path below net. Raises OSError."""
    return (_ROOT / name).read_text(encoding="ascii").strip()


def write(name: str, value: str, *, missing_is_fine: bool = False) -> None:
    """Set a parameter that has another value. Raises OSError."""
    if missing_is_fine and not (_ROOT / name).exists():
        return
    if read(name) != value:
        (_ROOT / name).write_text(value, encoding="ascii")
