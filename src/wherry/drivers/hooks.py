"""Hooks that follow a start or an end: they run beside the daemon, and one that fails is only worth a warning."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from wherry.crashpoints import crash_point
from wherry.libcontainer import hooks
from wherry.monitor import bundle as bundles
from wherry.oci.runtime import Hook, Hooks, Spec, SpecError

_LOG = logging.getLogger(__name__)
_NONE = Hooks()
# Of those that set no limit. In runc they have none; but here a daemon's start and its end may have to wait for them.
_SECONDS_MAX = 60.0


async def after_start(container_id: str, spec: Spec, bundle: str, pid: int) -> None:
    """Run those of a container that runs (runtime-spec runtime.md, "Lifecycle")."""
    found = (spec.hooks or _NONE).poststart
    await _run_all("poststart", found, hooks.state_of(container_id, "running", pid, bundle, spec.annotations), bundle)


async def after_end(container_id: str, bundle: str) -> None:
    """Run those of a container that is dead, or was never born, by what its bundle says; without one nothing is done.

    Of who is killed meanwhile the next daemon runs them again.
    """
    try:
        spec = bundles.read(bundle)
        bundles.hide(bundle)
    except FileNotFoundError:
        return
    except (OSError, SpecError) as error:
        _LOG.warning("container %s: its bundle cannot be read: %s", container_id, error)
        return
    found = (spec.hooks or _NONE).poststop
    await _run_all("poststop", found, hooks.state_of(container_id, "stopped", 0, bundle, spec.annotations), bundle)
    crash_point("forget.hooks-run")


async def _run_all(kind: str, found: Iterable[Hook], state: bytes, bundle: str) -> None:
    for number, hook in enumerate(found):
        try:
            problem = await _run_one(hook, state, bundle)
        except OSError as error:
            problem = str(error)
        if problem:
            _LOG.warning("%s: error running %s hook #%d: %s", bundle, kind, number, problem)


async def _run_one(hook: Hook, state: bytes, bundle: str) -> str:
    """Run one to its end; what went wrong, or nothing."""
    with hooks.streams(state) as given:
        try:
            process = await asyncio.create_subprocess_exec(
                *(hook.args or (hook.path,)),
                executable=hook.path,
                env=hooks.environment(hook),
                cwd=bundle,
                stdin=given.stdin,
                stdout=given.stdout,
                stderr=given.stderr,
                umask=hooks.UMASK,
            )
        except OSError as error:
            return hooks.not_run(hook, error)
        seconds = _SECONDS_MAX if hook.timeout is None else hook.timeout
        try:
            code = await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            return hooks.overdue(seconds)
        return given.outcome(code)
