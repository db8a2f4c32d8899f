"""All checks, as lines for people or as JSON for programs, and the exit status that sums them up."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from wherry.bootstrap.configfile import read_config
from wherry.bootstrap.doctor import disk, groups, kernel, limits, network
from wherry.bootstrap.doctor.check import Check, Verdict
from wherry.bootstrap.flags import FlagError
from wherry.bootstrap.options import CONFIG_FILE, FLAGS
from wherry.engine.settings import DATA_ROOT

COLUMNS = 80
_WIDTHS = (9, 21)


def main(arguments: Sequence[str]) -> int:
    """As root, with the words `[json|text] [DATA_ROOT]`; 0 when containers can run, else 1."""
    form, data_root = (*arguments, "", "")[:2]
    try:
        found = list(checks(Path(data_root or _configured())))
    except FlagError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    can_run = all(each.verdict is not Verdict.MISSING for each in found)
    sys.stdout.write(_json(found, can_run=can_run) if form == "json" else _text(found, can_run=can_run))
    return 0 if can_run else 1


def checks(data_root: Path) -> Iterator[Check]:
    """Everything that is looked at."""
    yield from kernel.checks()
    yield from groups.checks()
    yield from disk.checks(data_root)
    yield from network.checks()
    yield from limits.checks()


def _configured() -> Path:
    """The data root that the configuration file names. Raises FlagError when that cannot be read."""
    return Path(read_config(Path(CONFIG_FILE), FLAGS, {}, must_exist=False).get("data-root", DATA_ROOT))


def _json(found: list[Check], *, can_run: bool) -> str:
    rows = [
        {"Name": it.name, "Verdict": it.verdict, "Found": it.found, "Meaning": it.meaning, "Advice": it.advice}
        for it in found
    ]
    return msgspec.json.encode({"CanRun": can_run, "Checks": rows}).decode() + "\n"


def _text(found: list[Check], *, can_run: bool) -> str:
    lines = [line for each in found for line in _lines(each)]
    warnings = sum(each.verdict is Verdict.WARNING for each in found)
    lines.append("")
    if can_run:
        lines.append("Containers can run here" + (f"; warnings: {warnings}." if warnings else "."))
    else:
        lines.append("Containers cannot run here until what is missing is there.")
    return "".join(f"{line}\n" for line in lines)


def _lines(check: Check) -> Iterator[str]:
    """One line for what was found, and more, set in, for what it means and what to do."""
    indent = " " * sum(_WIDTHS)
    columns = max(shutil.get_terminal_size((COLUMNS, 24)).columns, COLUMNS)
    yield f"{check.verdict:<{_WIDTHS[0]}}{check.name:<{_WIDTHS[1] - 1}} {check.found}"
    for text in filter(None, (check.meaning, f"→ {check.advice}" if check.advice else "")):
        yield from textwrap.wrap(text, columns, initial_indent=indent, subsequent_indent=indent)
