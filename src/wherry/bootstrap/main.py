"""`wherryd`: from a command line to a daemon that serves, and back."""

import asyncio
import faulthandler
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import TextIO

from wherry import __version__
from wherry.bootstrap.daemon_options import Options, read_options
from wherry.bootstrap.flags import FlagError, parse_arguments
from wherry.bootstrap.logs import set_up
from wherry.bootstrap.options import FLAGS, usage
from wherry.engine.settings import Limit, RegistrySettings
from wherry.linux import heap
from wherry.model.errors import EngineError
from wherry.records.upgrades import UnknownFormat

NOT_ROOT = "wherryd needs to be started with root privileges, for example by sudo."

# What keeps a daemon from starting and is told in a sentence.
EXPECTED = (FlagError, EngineError, UnknownFormat, OSError)

log = logging.getLogger(__name__)


def main() -> None:
    """The entry point of `wherryd`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what a command line says; the exit code."""
    try:
        flags = parse_arguments(FLAGS, arguments)
    except FlagError as error:
        _say(f"Status: {error}\nSee 'wherryd --help'.\n", sys.stderr)
        return 1
    if flags.get("help"):
        _say(usage())
        return 0
    if flags.get("version"):
        _say(f"Wherry version {__version__}")
        return 0
    try:
        options = read_options(arguments, original_nofile=resource.getrlimit(resource.RLIMIT_NOFILE))
    except FlagError as error:
        _say(error, sys.stderr)
        return 1
    if flags.get("validate"):
        _say("configuration OK")
        return 0
    if os.geteuid() != 0:
        _say(NOT_ROOT, sys.stderr)
        return 1
    return _run_daemon(options)


def _run_daemon(options: Options) -> int:
    set_up("debug" if options.settings.debug else options.serving.log_level, options.serving.log_format)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    os.umask(0o022)
    heap.share()
    if options.serving.ready_fd is not None:
        os.set_inheritable(options.serving.ready_fd, False)
    _raise_file_limit(options.settings.original_nofile)
    _set_proxies(options.settings.registry)
    # Only now: what is above answers at once.
    from wherry.bootstrap.daemon import serve  # noqa: PLC0415

    try:
        asyncio.run(serve(options))
    except (*EXPECTED, BaseExceptionGroup) as error:
        cause = _first(error)
        if not isinstance(cause, EXPECTED):
            raise
        _say(f"failed to start daemon: {cause}", sys.stderr)
        return 1
    return 0


def _raise_file_limit(original: Limit) -> None:
    """As many files as we may have; containers get the original limit back."""
    _, hard = original
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _set_proxies(registry: RegistrySettings) -> None:
    """Proxies that were said go before the environment's, and everything that goes out looks there."""
    said = {"HTTP_PROXY": registry.http_proxy, "HTTPS_PROXY": registry.https_proxy, "NO_PROXY": registry.no_proxy}
    for name, value in said.items():
        if value:
            os.environ[name] = os.environ[name.lower()] = value


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _say(message: object, stream: TextIO | None = None) -> None:
    (stream or sys.stdout).write(f"{message}\n")
