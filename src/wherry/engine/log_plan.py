"""How a container's output is logged: its log options as a plan for the driver."""

from pathlib import Path

from wherry.drivers.driver import LogPlan
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter
from wherry.model.units import parse_bytes

UNLIMITED = "-1"


def log_plan(container: Container, directory: Path) -> LogPlan:
    """The plan; files lie in the container's directory. Raises InvalidParameter for options that are no numbers."""
    log = container.host_config.log_config
    if log.type == "none":
        return LogPlan(driver="none")
    options = log.config or {}
    size = options.get("max-size", UNLIMITED)
    return LogPlan(
        driver=log.type,
        path=str(log_path(container, directory)),
        bytes_max=None if size == UNLIMITED else parse_bytes(size),
        files_max=_count(options.get("max-file", "1")),
    )


def log_path(container: Container, directory: Path) -> Path:
    """The json-file's path, as `inspect` shows it under LogPath."""
    return directory / f"{container.id}-json.log"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise InvalidParameter("max-file cannot be less than 1")
    return int(text)
