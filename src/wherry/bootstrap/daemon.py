"""The daemon's life: listen, open the engine, serve until told to stop, leave the containers running."""

import asyncio
import gc
import logging
import os
import signal
import ssl
import sys
from dataclasses import replace

from wherry import __version__
from wherry.api.answers import COMMON_HEADERS
from wherry.api.routes.table import all_routes
from wherry.api.server import Server, serving
from wherry.api.tls import server_context
from wherry.bootstrap import house
from wherry.bootstrap.daemon_options import Options, TlsFiles, with_config
from wherry.bootstrap.flags import FlagError
from wherry.bootstrap.hosts import TcpHost
from wherry.bootstrap.listeners import Listener, listening
from wherry.bootstrap.logs import set_level
from wherry.bootstrap.pidfile import holding
from wherry.bootstrap.readiness import announce_ready, notify
from wherry.engine.engine import Engine
from wherry.engine.reload import tell_reload
from wherry.linux import heap

# dockerd too gives up on an orderly end when it is told for the third time.
SIGNALS_UNTIL_FORCED = 3
# What a changed configuration file changes while the daemon runs.
RELOADABLE = ("debug", "label", "log-level", "shutdown-timeout")

SWITCH_SECONDS = 0.0005

log = logging.getLogger(__name__)


async def serve(options: Options) -> None:
    """Run until a signal ends it. Raises FlagError, EngineError, OSError when it cannot start."""
    stop = _stop_signal()
    tls = _tls_context(options.serving.tls)
    COMMON_HEADERS["Docker-Experimental"] = str(options.settings.experimental).lower()
    with holding(options.serving.pidfile), listening(options.serving) as listeners:
        async with house.engine(options.settings) as engine:
            _reload_on_hangup(options, engine)
            seconds = options.settings.shutdown_timeout_seconds
            async with serving(engine, all_routes(), verbs_end_seconds=seconds, on_quiet=heap.give_back) as server:
                await _listen(server, listeners, tls)
                _leave_to_itself()
                _announce(options)
                await stop.wait()
                engine.closing = True
                notify("STOPPING=1", os.environ)
                log.info("Processing signal: containers run on")


def _leave_to_itself() -> None:
    """What is there now stays: the collector need not look at it again, which takes it tens of milliseconds."""
    gc.collect()
    gc.freeze()
    # A thread that computes gives way to the loop soon; the default is five milliseconds.
    sys.setswitchinterval(SWITCH_SECONDS)


def _stop_signal() -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        if len(received) >= SIGNALS_UNTIL_FORCED:
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    return stop


def _tls_context(files: TlsFiles | None) -> ssl.SSLContext | None:
    if files is None:
        return None
    return server_context(certificate=files.certificate, key=files.key, clients_ca=files.clients_ca)


async def _listen(server: Server, listeners: list[Listener], tls: ssl.SSLContext | None) -> None:
    for listener in listeners:
        # The server closes what it was given; ours is closed where it was made.
        await server.listen(listener.socket.dup(), tls if listener.is_tcp else None)
        log.info("API listen on %s", _name(listener))


def _announce(options: Options) -> None:
    if options.serving.tls is None and any(isinstance(host, TcpHost) for host in options.serving.hosts):
        log.warning(
            "Binding to IP address without --tlsverify is insecure and gives root access on this machine to everyone "
            "who has access to your network."
        )
    log.info("Wherry %s has completed initialization", __version__)
    announce_ready(options.serving.ready_fd, os.environ)


def _name(listener: Listener) -> str:
    name = listener.socket.getsockname()
    return f"[{name[0]}]:{name[1]}" if isinstance(name, tuple) else str(name)


def _reload_on_hangup(options: Options, engine: Engine) -> None:
    current = options

    def read_again() -> None:
        nonlocal current
        try:
            new = with_config(current.flags, original_nofile=current.settings.original_nofile)
        except FlagError as error:
            log.warning("The configuration is not reloaded: %s", error)
            return
        _apply(current, new, engine)
        current = new

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, read_again)


def _apply(old: Options, new: Options, engine: Engine) -> None:
    changed = {name for name in old.all.keys() | new.all.keys() if old.all.get(name) != new.all.get(name)}
    for name in sorted(changed.difference(RELOADABLE)):
        log.warning("The new value of %s counts from the next start on", name)
    engine.settings = replace(
        engine.settings,
        debug=new.settings.debug,
        labels=new.settings.labels,
        shutdown_timeout_seconds=new.settings.shutdown_timeout_seconds,
    )
    set_level("debug" if new.settings.debug else new.serving.log_level)
    tell_reload(engine)
    log.info("Reloaded configuration: %s", ", ".join(sorted(changed.intersection(RELOADABLE))) or "nothing new")
