"""Opening and ending the engine of a plan. Whoever imports this gets the whole engine."""

import fcntl
import resource
from contextlib import ExitStack

from wherry.bootstrap.thread import EngineThread
from wherry.engine.engine import Engine
from wherry.engine.remove import remove
from wherry.engine.settings import BridgeSettings, RegistrySettings, Settings
from wherry.networks.razing import raze
from wherry.python.plan import Plan

LOCK = "/run/wherry-engines.lock"


def open_engine(plan: Plan, undo: ExitStack) -> EngineThread:
    """Start it; its end is on `undo`. Raises EngineError, OSError, and UnknownFormat for state of a newer version."""
    thread = EngineThread(settings_of(plan))
    # Of two engines that look for a free subnet at once, both would find the same.
    with open(LOCK, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread.start()
    if not plan.keep:
        undo.callback(raze, plan.bridge)
    undo.callback(thread.close)
    if not plan.keep:
        undo.callback(thread.have, _remove_containers)
    return thread


def settings_of(plan: Plan) -> Settings:
    """What dockerd's flags would say."""
    return Settings(
        data_root=plan.root / "data",
        exec_root=plan.root / "exec",
        storage_driver=plan.storage_driver,
        bridge=BridgeSettings(name=plan.bridge),
        registry=RegistrySettings(insecure=plan.insecure_registries, mirrors=plan.registry_mirrors),
        original_nofile=resource.getrlimit(resource.RLIMIT_NOFILE),
    )


async def _remove_containers(engine: Engine) -> None:
    for container in list(engine.containers.values()):
        await remove(engine, container.id, force=True, volumes=True)
