"""The user's program: arguments, environment, directory, identity, limits."""

from collections.abc import Iterable
from dataclasses import dataclass

from wherry.model.config import Config, HostConfig, Ulimit
from wherry.model.errors import InvalidParameter
from wherry.oci.runtime import Capabilities, ConsoleSize, Process, Rlimit
from wherry.oci.runtime import User as SpecUser
from wherry.storage.lookup import User

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNLIMITED = 2**64 - 1

# Names as in moby `go-units` ulimit.go.
ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileges:
    """What the program may do: capability sets, whether it may gain more, its AppArmor profile."""

    capabilities: Capabilities
    no_new_privileges: bool
    apparmor_profile: str = ""


def environment(config: Config, *, tty: bool, extra: Iterable[str] = ()) -> tuple[str, ...]:
    """The engine's variables, each given way to the user's (moby `CreateDaemonEnvironment`).

    An entry without `=` takes a variable away.
    """
    merged = {"PATH": DEFAULT_PATH, "HOSTNAME": config.hostname}
    if tty:
        merged["TERM"] = "xterm"
    for entry in (*(config.env or ()), *extra):
        name, sign, value = entry.partition("=")
        if sign:
            merged[name] = value
        else:
            merged.pop(name, None)
    return tuple(f"{name}={value}" for name, value in merged.items())


def process(
    config: Config,
    host_config: HostConfig,
    user: User,
    *,
    args: tuple[str, ...],
    privileges: Privileges,
    default_rlimits: tuple[Rlimit, ...],
    terminal_size: tuple[int, int],
) -> Process:
    """The spec's `process` of a container's first process."""
    env = environment(config, tty=config.tty)
    return Process(
        terminal=config.tty,
        console_size=_console_size(terminal_size),
        cwd=config.working_dir or "/",
        args=args,
        env=with_home(env, user),
        user=SpecUser(uid=user.uid, gid=user.gid, additional_gids=user.additional_gids),
        capabilities=privileges.capabilities,
        rlimits=rlimits(host_config.ulimits or (), default_rlimits),
        no_new_privileges=privileges.no_new_privileges,
        oom_score_adj=host_config.oom_score_adj,
        apparmor_profile=privileges.apparmor_profile,
    )


def with_home(env: tuple[str, ...], user: User) -> tuple[str, ...]:
    """HOME from the container's passwd file where the user did not say it, as runc does."""
    if any(entry.startswith("HOME=") for entry in env):
        return env
    return (*env, f"HOME={user.home}")


def rlimits(ulimits: Iterable[Ulimit], defaults: tuple[Rlimit, ...]) -> tuple[Rlimit, ...]:
    """The user's limits over the daemon's. Raises InvalidParameter for unknown names."""
    merged = {limit.type: limit for limit in defaults}
    for ulimit in ulimits:
        if ulimit.name not in ULIMITS:
            raise InvalidParameter(f"invalid ulimit type: {ulimit.name}")
        kind = f"RLIMIT_{ulimit.name.upper()}"
        merged[kind] = Rlimit(type=kind, hard=_limit(ulimit.hard), soft=_limit(ulimit.soft))
    return tuple(merged.values())


def _limit(value: int) -> int:
    return UNLIMITED if value < 0 else value


def _console_size(size: tuple[int, int]) -> ConsoleSize | None:
    height, width = size
    return ConsoleSize(height=height, width=width) if height and width else None
