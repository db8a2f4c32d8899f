"""Help as docker lays it out: usage, summary, aliases, commands, options. Loaded only when help is asked for."""

from __future__ import annotations

import shutil
import textwrap

from wherry.cli.catalog import ALIASES, COMMON, GROUPS, UNLISTED, VERBS, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Flag, Verb

PROGRAM = "wherry"
TEXT_COLUMNS_MIN = 24


def verb_help(verb: Verb, typed: str, name: str) -> str:
    """The help of one verb, typed as the words `typed`."""
    parts = [f"Usage:  {PROGRAM} {typed} {verb.usage}".rstrip(), VERBS[name][2]]
    if verb.details:
        parts.append(verb.details)
    names = names_of(name)
    if len(names) > 1:
        parts.append("Aliases:\n  " + ", ".join(f"{PROGRAM} {words}" for words in names))
    if verb.flags:
        parts.append("Options:\n" + options(verb.flags))
    return "\n\n".join(parts) + "\n"


def group_help(group: str) -> str:
    """The help of a group such as `container`."""
    listed = sorted(words for words in (*VERBS, *ALIASES) if words.startswith(group + " ") and words not in UNLISTED)
    rows = [(words.partition(" ")[2], VERBS[ALIASES.get(words, words)][2]) for words in listed]
    return (
        f"Usage:  {PROGRAM} {group} COMMAND\n\n{GROUPS[group]}\n\nCommands:\n{_rows(rows)}\n\n"
        f"Run '{PROGRAM} {group} COMMAND --help' for more information on a command.\n"
    )


def program_help(flags: tuple[Flag, ...]) -> str:
    """The help of the program."""
    others = sorted(words for words in VERBS if " " not in words and words not in COMMON)
    return "\n\n".join(
        [
            f"Usage:  {PROGRAM} [OPTIONS] COMMAND",
            "A container engine: Docker's API, containers that outlive their daemon",
            "Common Commands:\n" + _rows([(words, VERBS[words][2]) for words in COMMON]),
            "Management Commands:\n" + _rows(list(GROUPS.items())),
            "Commands:\n" + _rows([(words, VERBS[words][2]) for words in others]),
            "Global Options:\n" + options(flags),
            f"Run '{PROGRAM} COMMAND --help' for more information on a command.\n",
        ]
    )


def options(flags: tuple[Flag, ...]) -> str:
    """The flags in columns, wrapped to the terminal."""
    shown = sorted((flag for flag in flags if not flag.hidden), key=lambda flag: flag.name)
    heads = [_head(flag) for flag in shown]
    indent = max(map(len, heads)) + 3
    columns = max(shutil.get_terminal_size((80, 24)).columns - indent, TEXT_COLUMNS_MIN)
    lines: list[str] = []
    for flag, head in zip(shown, heads, strict=True):
        first, *rest = textwrap.wrap(flag.help + _default(flag), columns, break_on_hyphens=False) or [""]
        lines.append(f"{head:<{indent}}{first}")
        lines.extend(" " * indent + line for line in rest)
    return "\n".join(lines)


def _head(flag: Flag) -> str:
    short = f"  -{flag.short}, " if flag.short else "      "
    return f"{short}--{flag.name} {flag.kind.shown}".rstrip()


def _default(flag: Flag) -> str:
    if flag.shown_default:
        return f" (default {flag.shown_default})"
    if not flag.default:
        return ""
    if isinstance(flag.default, bool):
        return " (default true)"
    return f' (default "{flag.default}")' if isinstance(flag.default, str) else f" (default {flag.default})"


def _rows(rows: list[tuple[str, str]]) -> str:
    width = max([11, *(len(name) for name, _ in rows)])
    return "\n".join(f"  {name:<{width}} {text}" for name, text in rows)
