"""The entry point of `wherry`: global flags, the verb, errors and exit status."""

from __future__ import annotations

import gc
import os
import sys

from wherry.cli.catalog import GROUPS, VERBS, find
from wherry.cli.errors import CommandError, UsageError
from wherry.cli.flags import BOOL, LIST, STRING, Flag, HelpWanted, Verb, check_arguments, parse
from wherry.cli.output import complain, emit, flush
from wherry.cli.session import Session
from wherry.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PROGRAM = "wherry"
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
INTERRUPTED = 130
BROKEN_PIPE = 141
_OBJECTS_BETWEEN_COLLECTIONS = 50_000

GLOBAL_FLAGS = (
    Flag("config", "", STRING, "Directory of the user's settings", shown_default='"~/.docker"'),
    Flag("context", "c", STRING, 'Name of the context; there is one, "default"'),
    Flag("debug", "D", BOOL, "Tell each request to the daemon on the error stream"),
    Flag("host", "H", LIST, "Daemon socket to connect to"),
    Flag("log-level", "l", STRING, 'How much to tell ("debug", "info", "warn", "error", "fatal")', default="info"),
    Flag("tls", "", BOOL, "Use TLS; implied by --tlsverify"),
    Flag("tlscacert", "", STRING, "Trust only what this authority signed", shown_default='"~/.docker/ca.pem"'),
    Flag("tlscert", "", STRING, "Certificate to show", shown_default='"~/.docker/cert.pem"'),
    Flag("tlskey", "", STRING, "Key of that certificate", shown_default='"~/.docker/key.pem"'),
    Flag("tlsverify", "", BOOL, "Use TLS and verify the daemon"),
    Flag("version", "v", BOOL, "Print the program's version and quit"),
)


def main() -> NoReturn:
    """Run what the command line says and end the process.

    The interpreter's own shutdown is skipped: it frees what the kernel frees faster. So is most of the looking for
    garbage, of which a short life makes little.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    status = invoke(sys.argv[1:])
    flush()
    os._exit(status)


def invoke(words: list[str]) -> int:
    """Run `words`, without the program's name; the exit status. Errors are told on the error stream."""
    try:
        return _dispatch(words)
    except CommandError as error:
        if str(error):
            complain(str(error))
        return error.status
    except ClientError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        return _surprised(error)


def _surprised(error: Exception) -> int:
    """Tell an error that nobody foresaw, such as an answer of another shape, in one line."""
    if os.environ.get("WHERRY_TRACEBACK"):
        raise error
    complain(f"{PROGRAM}: unexpected {type(error).__name__}: {error} (WHERRY_TRACEBACK=1 shows where)")
    return 1


def _dispatch(words: list[str]) -> int:
    try:
        options, rest = parse(GLOBAL_FLAGS, words, interspersed=False)
    except UsageError as error:
        raise _with_usage(error, PROGRAM, "[OPTIONS] COMMAND [ARG...]") from error
    except HelpWanted:
        return _help([])
    if options["version"]:
        return _version()
    if rest[:1] == ["help"]:
        return _help(rest[1:])
    if not rest:
        return _help([])
    _check_globals(options["context"], options["log-level"])
    name, typed, count = find(rest)
    if not name:
        return _no_verb(typed, rest)
    return _run(Session(options), name, typed, rest[count:])


def _run(session: Session, name: str, typed: str, words: list[str]) -> int:
    verb = _load(name)
    path = f"{PROGRAM} {typed}"
    try:
        given, arguments = parse(verb.flags, words, interspersed=verb.interspersed)
        check_arguments(verb, len(arguments), path)
        return verb.run(session, given, arguments)
    except UsageError as error:
        raise _with_usage(error, path, verb.usage) from error
    except HelpWanted:
        return _help(typed.split())


def _load(name: str) -> Verb:
    module_name, attribute, _ = VERBS[name]
    module = __import__(f"wherry.cli.verbs.{module_name}", fromlist=[attribute])
    verb: Verb = getattr(module, attribute)
    return verb


def _with_usage(error: UsageError, path: str, usage: str) -> CommandError:
    text = f"{error}\n\nUsage:  {path} {usage}\n\nRun '{path} --help' for more information"
    return CommandError(text, status=error.status)


def _check_globals(context: str, level: str) -> None:
    if level not in LOG_LEVELS:
        raise CommandError(f"Unable to parse logging level: {level}")
    if context not in ("", "default"):
        raise CommandError(f'context "{context}" not found: there is one, "default"; name another daemon by --host')


def _version() -> int:
    from wherry import __version__

    emit(f"Wherry version {__version__}\n")
    return 0


def _help(words: list[str]) -> int:
    from wherry.cli import usage

    name, typed, _ = find(words)
    if name:
        emit(usage.verb_help(_load(name), typed, name))
    elif typed:
        emit(usage.group_help(typed))
    elif words:
        raise CommandError(f"unknown help topic: {' '.join(words)}")
    else:
        emit(usage.program_help(GLOBAL_FLAGS))
    return 0


def _no_verb(group: str, words: list[str]) -> int:
    rest = words[1:]
    if group and rest == ["--help"]:
        return _help([group])
    if group and not rest:
        from wherry.cli.usage import group_help

        complain(group_help(group).rstrip("\n"))
        return 0
    if group and rest[0].startswith("-"):
        error = UsageError(f"unknown flag: {rest[0]}" if rest[0][1:2] == "-" else _unknown_letter(rest[0]))
        raise _with_usage(error, f"{PROGRAM} {group}", "COMMAND")
    path = f"{PROGRAM} {group}".rstrip()
    usage = f"Usage:  {path}\n\n" if group in GROUPS else ""
    wrong = rest[0] if group else words[0]
    raise CommandError(f"{PROGRAM}: unknown command: {path} {wrong}\n\n{usage}Run '{path} --help' for more information")


def _unknown_letter(word: str) -> str:
    return f"unknown shorthand flag: '{word[1:2]}' in {word}"
