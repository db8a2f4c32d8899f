"""The pairs, a file for each kind: every module here has its `PAIRS`."""

import importlib
import pkgutil

from bench.pair import Pair


def every_pair() -> list[Pair]:
    """All there are, in the order of the files' names. Raises ValueError when two have one name."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    pairs = [pair for module in modules for pair in module.PAIRS]
    names = [pair.name for pair in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"two pairs have one name: {sorted(names)}")
    return pairs
