"""`wherry-runtime`: reads the command line, calls one verb, says what went wrong and exits."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from wherry.libcontainer.command.errors import CommandError, UsageError
from wherry.libcontainer.command.flags import Flag, describe, parse
from wherry.libcontainer.command.settings import FLAGS, Settings, settings_of

_ONE = "exactly 1 argument(s)"
_SOME = "a minimum of 1 argument(s)"
_ID = "<container-id>"

# verb -> (module, function, its flags, usage, what it does, arguments at least, at most)
_VERBS: dict[str, tuple[str, str, str, str, str, int, int | None]] = {
    "create": ("create", "create", "CREATE_FLAGS", _ID, "create a container", 1, 1),
    "start": ("life", "start", "", _ID, "execute the user defined process in a created container", 1, 1),
    "state": ("show", "state", "", _ID, "output the state of a container", 1, 1),
    "kill": ("life", "kill", "KILL_FLAGS", f"{_ID} [signal]", "send a signal (default: SIGTERM)", 1, 2),
    "delete": ("delete", "delete", "FLAGS", _ID, "delete any resources held by the container", 1, 1),
    "exec": ("execute", "execute", "FLAGS", f"{_ID} <command> [command options]", "execute a new process", 1, None),
    "run": ("create", "run", "RUN_FLAGS", _ID, "create and run a container", 1, 1),
    "list": ("show", "list_containers", "LIST_FLAGS", "", "list the containers of this root", 0, 0),
    "ps": ("show", "ps", "PS_FLAGS", f"{_ID} [ps options]", "display the container's processes", 1, None),
    "pause": ("life", "pause", "", _ID, "suspend all processes inside the container", 1, 1),
    "resume": ("life", "resume", "", _ID, "resume all processes that have been paused", 1, 1),
    "update": ("update", "update", "FLAGS", _ID, "update container resource constraints", 1, 1),
    "spec": ("describe", "spec", "SPEC_FLAGS", "", "create a new specification file", 0, 0),
    "features": ("describe", "features", "", "", "show what this runtime can do", 0, 0),
}
_REFUSED = {
    "checkpoint": "checkpoint is not supported by wherry-runtime",
    "restore": "restore is not supported by wherry-runtime",
    "events": "events is not supported by wherry-runtime: read the container's cgroup",
}
# These take the user's program or ps(1)'s options after the id, flags of theirs included.
_GIVES_BIRTH = frozenset(("create", "run", "exec"))
_ENDS_AT_ID = frozenset(("exec", "ps"))


def main(words: Sequence[str] | None = None) -> int:
    """The program. Returns its exit status."""
    arguments = list(sys.argv[1:] if words is None else words)
    settings: Settings | None = None
    try:
        found = parse(arguments, FLAGS, positional_max=1)
        if found.has("version"):
            _print_version()
            return 0
        if not found.positional or found.has("help") or found.positional[0] in ("help", "h"):
            _print_help()
            return 0
        settings = settings_of(found)
        verb, *rest = found.positional
        return _run(settings, verb, rest)
    except CommandError as error:
        _complain(settings, str(error))
        return error.exit_code
    except OSError as error:
        _complain(settings, str(error))
        return 1


def _run(settings: Settings, verb: str, words: list[str]) -> int:
    if verb in _REFUSED:
        raise CommandError(_REFUSED[verb])
    if verb not in _VERBS:
        raise CommandError(f"No help topic for '{verb}'", 3)
    if verb in _GIVES_BIRTH and os.geteuid() == 0:
        _seal()
    module_name, function, flags_name, usage, about, least, most = _VERBS[verb]
    module = import_module(f"wherry.libcontainer.command.{module_name}")
    flags: tuple[Flag, ...] = (*(getattr(module, flags_name) if flags_name else ()), Flag(("help", "h"), "show help"))
    arguments = parse(words, flags, positional_max=1 if verb in _ENDS_AT_ID else None)
    if arguments.has("help"):
        print(f"NAME:\n   wherry-runtime {verb} - {about}\n\nUSAGE:\n   wherry-runtime {verb} [options] {usage}\n")
        print(f"OPTIONS:\n{describe(flags)}")
        return 0
    count = len(arguments.positional)
    if count < least or (most is not None and count > most):
        wanted = _ONE if least == most == 1 else _SOME if least else "exactly 0 argument(s)"
        raise UsageError(f'wherry-runtime: "{verb}" requires {wanted}')
    if os.geteuid() != 0 and verb not in ("spec", "features"):
        raise CommandError("wherry-runtime needs root")
    _open_stdio()
    settings.log.debug(f"{verb} {' '.join(words)}")
    result: int = getattr(module, function)(settings, arguments)
    return result


def _seal() -> None:
    from wherry.libcontainer.sealing import execute_sealed  # noqa: PLC0415 - only these verbs pay for it
    from wherry.linux.prctl import set_name  # noqa: PLC0415

    execute_sealed()
    set_name(b"wherry-runtime")


def _open_stdio() -> None:
    """Have 0, 1 and 2 open: a descriptor made later must not take their place in the container."""
    while (fd := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(fd, True)
    os.close(fd)


def _complain(settings: Settings | None, message: str) -> None:
    from wherry.libcontainer.command.log import Log  # noqa: PLC0415 - json is not paid for by --version

    (settings.log if settings else Log()).error(message)


def _print_version() -> None:
    from wherry import __version__  # noqa: PLC0415

    print(f"wherry-runtime version {__version__}\nspec: 1.2.1")


def _print_help() -> None:
    print("NAME:\n   wherry-runtime - an OCI runtime\n")
    print("USAGE:\n   wherry-runtime [global options] command [command options] [arguments...]\n\nCOMMANDS:")
    for verb, entry in _VERBS.items():
        print(f"   {verb:<9} {entry[4]}")
    print(f"\nGLOBAL OPTIONS:\n{describe(FLAGS)}")


if __name__ == "__main__":
    sys.exit(main())
