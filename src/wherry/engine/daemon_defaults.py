"""The daemon's own defaults for containers, out of its settings and of what the host is."""

from wherry.engine.abilities import abilities, cgroup_version
from wherry.engine.defaults.paths import READONLY, masked_paths
from wherry.engine.engine import Engine
from wherry.engine.request.normal import Defaults


def defaults_of(engine: Engine) -> Defaults:
    """What is in force where a client says nothing."""
    settings = engine.settings
    return Defaults(
        log_driver=settings.log_driver,
        log_options=settings.log_options,
        log_defaults={name: driver.defaults for name, driver in engine.log_drivers.items()},
        shm_bytes=settings.default_shm_size,
        runtime=settings.default_runtime,
        cgroupns=settings.default_cgroup_namespace or ("private" if cgroup_version() == 2 else "host"),
        masked_paths=masked_paths(),
        readonly_paths=READONLY,
        can_disable_oom_kill=abilities().oom_kill_disable,
    )
