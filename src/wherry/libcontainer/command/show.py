"""`state`, `list` and `ps`: what containers there are and how they do."""

import json
import os
import pwd
import subprocess
from typing import Any

from wherry.libcontainer.command import store
from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.command.flags import Arguments, Flag
from wherry.libcontainer.command.settings import Settings
from wherry.libcontainer.command.store import Container
from wherry.oci.runtime import OCI_VERSION

_FORMAT = Flag(("format", "f"), "select one of: table or json (default: table)", takes_value=True)
LIST_FLAGS = (_FORMAT, Flag(("quiet", "q"), "display only container IDs"))
PS_FLAGS = (_FORMAT,)

_COLUMNS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
_WIDTH_MIN, _GAP = 12, 3


def state(settings: Settings, arguments: Arguments) -> int:
    """Print a container's state as JSON."""
    container = store.load(settings.root, arguments.positional[0])
    print(json.dumps(_described(container), indent=2), end="")
    return 0


def list_containers(settings: Settings, arguments: Arguments) -> int:
    """Print every container."""
    rows = [_described(container) for container in store.load_all(settings.root)]
    if arguments.has("quiet"):
        for row in rows:
            print(row["id"])
        return 0
    match _format(arguments):
        case "json":
            print(json.dumps(rows or None, separators=(",", ":")))
        case _:
            _print_table(rows)
    return 0


def ps(settings: Settings, arguments: Arguments) -> int:
    """Print the processes of a container: their pids as JSON, or the lines of ps about them."""
    container = store.load(settings.root, arguments.positional[0])
    group = container.open_cgroup()
    if group is None:
        raise CommandError("container has no cgroup")
    pids = group.pids()
    group.close()
    if _format(arguments) == "json":
        print(json.dumps(pids))
        return 0
    options = arguments.positional[1:] or ["-ef"]
    done = subprocess.run(["ps", *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandError(f"exit status {done.returncode}: {done.stdout}{done.stderr}".rstrip())
    _print_own(done.stdout.splitlines(), {str(pid) for pid in pids})
    return 0


def _described(container: Container) -> dict[str, Any]:
    record, status = container.record, container.status()
    described = {
        "ociVersion": OCI_VERSION,
        "id": record.id,
        "pid": 0 if status == "stopped" else record.pid,
        "status": status,
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": record.created,
    }
    annotations = container.spec().annotations
    if annotations:
        described["annotations"] = annotations
    return {**described, "owner": _name(os.stat(container.directory).st_uid)}


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def _format(arguments: Arguments) -> str:
    wanted = arguments.value("format", "table")
    if wanted not in ("table", "json"):
        raise CommandError("invalid format option")
    return wanted


def _print_table(rows: list[dict[str, Any]]) -> None:
    cells = [_COLUMNS, *(tuple(str(row[column.lower()]) for column in _COLUMNS) for row in rows)]
    widths = [max(_WIDTH_MIN, max(len(line[place]) for line in cells) + _GAP) for place in range(len(_COLUMNS))]
    for line in cells:
        print("".join(text.ljust(width) for text, width in zip(line[:-1], widths, strict=False)) + line[-1])


def _print_own(lines: list[str], pids: set[str]) -> None:
    header, *rest = lines
    try:
        place = header.split().index("PID")
    except ValueError:
        raise CommandError("couldn't find PID field in ps output") from None
    print(header)
    for line in rest:
        fields = line.split()
        if len(fields) > place and fields[place] in pids:
            print(line)
