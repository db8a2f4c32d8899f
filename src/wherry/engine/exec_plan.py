"""The runtime-spec `process` of an exec: the container's own, with what the exec says."""

import asyncio
import os

from msgspec.structs import replace

from wherry.engine.defaults.capabilities import available, capability_sets
from wherry.engine.engine import Engine
from wherry.engine.exec_record import ExecRequest
from wherry.engine.links import environment_of
from wherry.engine.plan.process import environment, rlimits, with_home
from wherry.engine.plan.security import security_options
from wherry.engine.surroundings import capability_names
from wherry.model.container import Container
from wherry.model.errors import Conflict
from wherry.oci.runtime import Process
from wherry.oci.runtime import User as SpecUser
from wherry.storage.lookup import User, resolve_user


async def exec_process(engine: Engine, container: Container, request: ExecRequest) -> Process:
    """Resolve the user in the running container, and put the process together. Raises InvalidParameter, Conflict."""
    user = await user_of(container, request)
    config, host_config = container.config, container.host_config
    config = replace(config, env=(*environment_of(engine, container), *(config.env or ())))
    names = available() if request.privileged else capability_names(host_config)
    options = security_options(host_config, no_new_privileges=engine.settings.no_new_privileges)
    return Process(
        terminal=request.tty,
        cwd=request.working_dir or config.working_dir or "/",
        args=request.cmd or (),
        env=with_home(environment(config, tty=request.tty, extra=request.env or ()), user),
        user=SpecUser(uid=user.uid, gid=user.gid, additional_gids=user.additional_gids),
        capabilities=capability_sets(names, uid=user.uid),
        rlimits=rlimits(host_config.ulimits or (), rlimits(engine.settings.default_ulimits, ())),
        no_new_privileges=options.no_new_privileges,
        oom_score_adj=host_config.oom_score_adj,
    )


async def user_of(container: Container, request: ExecRequest) -> User:
    """Who the exec runs as. Raises InvalidParameter for a user that is not in the container, Conflict."""
    return await asyncio.to_thread(_resolve, container, request)


def _resolve(container: Container, request: ExecRequest) -> User:
    """In the container's root as it is now, by descriptor."""
    try:
        root = os.open(f"/proc/{container.state.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise Conflict(f"container {container.id} is not running") from None
    try:
        return resolve_user(root, request.user or container.config.user, container.host_config.group_add or ())
    finally:
        os.close(root)
