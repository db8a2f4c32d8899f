"""The global flags, as they hold for every verb."""

from dataclasses import dataclass

from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.command.flags import Arguments, Flag
from wherry.libcontainer.command.log import Log

ROOT = "/run/wherry-runtime"

FLAGS = (
    Flag(("debug",), "enable debug logging"),
    Flag(("log",), "set the log file to write logs to (default is stderr)", takes_value=True),
    Flag(("log-format",), "set the log format ('text' (default), or 'json')", takes_value=True),
    Flag(("log-level",), "error, warning or debug", takes_value=True),
    Flag(("root",), f"root directory for storage of container state (default: {ROOT})", takes_value=True),
    Flag(("cgroup-manager",), "'cgroupfs' (default) or 'disabled'", takes_value=True),
    Flag(("systemd-cgroup",), "refused: cgroups are made directly"),
    Flag(("criu",), "refused: there are no checkpoints", takes_value=True),
    Flag(("rootless",), "'false' or 'auto'; 'true' is refused", takes_value=True),
    Flag(("help", "h"), "show help"),
    Flag(("version", "v"), "print the version"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the global flags say."""

    root: str
    log: Log
    with_cgroups: bool


def settings_of(arguments: Arguments) -> Settings:
    """Read the global flags. Raises CommandError for what is not done here."""
    log_format = arguments.value("log-format", "text")
    if log_format not in ("text", "json"):
        raise CommandError(f'invalid log-format: "{log_format}"')
    level = arguments.value("log-level", "error")
    if level not in ("error", "warning", "debug"):
        raise CommandError(f'invalid log-level: "{level}"')
    manager = arguments.value("cgroup-manager", "cgroupfs")
    if arguments.has("systemd-cgroup") or manager == "systemd":
        raise CommandError("--systemd-cgroup is not supported: cgroups are made directly (use the cgroupfs driver)")
    if manager not in ("cgroupfs", "disabled"):
        raise CommandError(f'unknown cgroup manager "{manager}"')
    if "criu" in arguments.values:
        raise CommandError("--criu is not supported: there are no checkpoints")
    if arguments.value("rootless", "auto") not in ("false", "auto"):
        raise CommandError("--rootless is not supported: root is required")
    log = Log(
        path=arguments.value("log").removeprefix("file:"),
        is_json=log_format == "json",
        is_debug=arguments.has("debug") or level == "debug",
    )
    return Settings(root=arguments.value("root", ROOT), log=log, with_cgroups=manager == "cgroupfs")
