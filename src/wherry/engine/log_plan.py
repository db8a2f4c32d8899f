"""How a container's output is logged: its log options as a plan for the execution driver."""

import socket
from pathlib import Path

from wherry.drivers.driver import LogPlan
from wherry.engine.engine import Engine
from wherry.logs.driver import LogDriver, LogReader
from wherry.logs.jsonfile import JsonFileLogs
from wherry.logs.local import LocalLogs
from wherry.logs.none import NoLog
from wherry.logs.options import parse_bool
from wherry.logs.subject import Subject
from wherry.model.config import LogConfig
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter

READERS: dict[str, LogReader] = {reader.name: reader for reader in (JsonFileLogs(), LocalLogs(), NoLog())}
COMPACT_DIRECTORY = "local-logs"


def check_log_config(engine: Engine, log: LogConfig) -> None:
    """Raise InvalidParameter in dockerd's words for a driver that there is not, or options that it does not take."""
    find_log_driver(engine, log.type or engine.settings.log_driver).check(log.config or {})


def find_log_driver(engine: Engine, name: str) -> LogDriver:
    """The driver of that name. Raises InvalidParameter."""
    driver = known_log_driver(engine, name)
    if driver is None:
        raise InvalidParameter(f'error looking up logging plugin {name}: plugin "{name}" not found')
    return driver


def known_log_driver(engine: Engine, name: str) -> LogDriver | None:
    """The same; None when there is none of that name."""
    if name not in engine.log_drivers and (driver := engine.load_log_driver(name)):
        engine.log_drivers[name] = driver
    return engine.log_drivers.get(name)


def log_plan(engine: Engine, container: Container) -> LogPlan:
    """The plan; files lie in the container's directory. Raises InvalidParameter for what only the start reads."""
    driver = find_log_driver(engine, container.host_config.log_config.type)
    keeping = driver.keeping(container.host_config.log_config.config or {})
    if keeping.format == "none":
        return LogPlan(driver="none")
    return LogPlan(
        driver=keeping.format,
        path=str(log_path(engine, container)),
        bytes_max=keeping.bytes_max,
        files_max=keeping.files_max,
        compress=keeping.compress,
        attributes=driver.attributes(log_subject(container)),
    )


def log_path(engine: Engine, container: Container) -> Path:
    """Where the log lies: the json-file's path, as `inspect` shows it; of compact files what their names begin with."""
    directory = engine.directory(container.id)
    return directory / f"{container.id}-json.log" if _is_json(container) else directory / COMPACT_DIRECTORY / "log"


def log_reader(container: Container) -> LogReader:
    """What reads the log back; the one for `none` also where a cache is not wanted."""
    log = container.host_config.log_config
    if _is_json(container):
        return READERS["json-file"]
    keeps = log.type == "local" or not _is_true((log.config or {}).get("cache-disabled", ""))
    return READERS["local" if keeps and log.type != "none" else "none"]


def log_subject(container: Container) -> Subject:
    """The container as a log driver sees it."""
    config = container.config
    return Subject(
        id=container.id,
        name=container.name,
        command=(container.path, *container.args),
        image_id=container.image_id,
        image_name=container.image_name,
        created_ns=container.created_ns,
        env=tuple(config.env or ()),
        labels=config.labels or {},
        options=container.host_config.log_config.config or {},
        host_name=socket.gethostname(),
    )


def _is_json(container: Container) -> bool:
    return container.host_config.log_config.type == "json-file"


def _is_true(text: str) -> bool:
    return bool(text) and parse_bool(text)
