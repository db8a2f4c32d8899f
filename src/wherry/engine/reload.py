"""Telling that the daemon has read its configuration again, with what is in force now."""

import socket

from wherry.engine.daemon_defaults import defaults_of
from wherry.engine.engine import Engine
from wherry.engine.system import daemon_id
from wherry.engine.telling import tell_daemon


def tell_reload(engine: Engine) -> None:
    """Publish `daemon reload` with dockerd's attributes; lists as Go prints them."""
    settings, registry = engine.settings, engine.settings.registry
    attributes = {
        "debug": str(settings.debug).lower(),
        "default-cgroupns-mode": defaults_of(engine).cgroupns,
        "default-ipc-mode": "private",
        "default-runtime": settings.default_runtime,
        "default-shm-size": str(settings.default_shm_size),
        "features": "map[]",
        "insecure-registries": _list(registry.insecure),
        "labels": _list(settings.labels),
        "live-restore": "true",
        "max-concurrent-downloads": str(registry.downloads_max),
        "max-concurrent-uploads": str(registry.uploads_max),
        "max-download-attempts": str(registry.attempts_max),
        "name": socket.gethostname(),
        "registry-mirrors": _list(registry.mirrors),
        "runtimes": "",
        "shutdown-timeout": str(settings.shutdown_timeout_seconds),
    }
    tell_daemon(engine, "reload", daemon_id(settings.data_root), attributes)


def _list(values: tuple[str, ...]) -> str:
    words = ",".join(f'"{value}"' for value in values)
    return f"[{words}]"
