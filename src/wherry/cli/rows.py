"""Columns of `ps`: a container's summary as cells."""

from __future__ import annotations

from wherry.cli.human import ago, ellipsis, labels, moment, quote, short_id, size
from wherry.cli.listing import Listing, label_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = dict[str, Any]

COMMAND_LETTERS = 20
MOUNT_LETTERS = 15

HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Label": "",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}
TABLE = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
RAW = """container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
"""


def containers(*, full: bool, with_size: bool) -> Listing:
    """The listing of `ps`; `full` cuts nothing."""
    columns = {
        "ID": lambda it: it["Id"] if full else it["Id"][:12],
        "Image": lambda it: _image(it, full=full),
        "Command": lambda it: quote(it["Command"] if full else ellipsis(it["Command"], COMMAND_LETTERS)),
        "CreatedAt": lambda it: moment(it["Created"]),
        "RunningFor": lambda it: ago(it["Created"]),
        "Status": lambda it: it["Status"],
        "State": lambda it: it["State"],
        "Ports": lambda it: ports(it.get("Ports") or []),
        "Names": lambda it: _names(it, full=full),
        "Size": _size,
        "Labels": lambda it: labels(it.get("Labels")),
        "Label": lambda it: label_of(it.get("Labels")),
        "Mounts": lambda it: _mounts(it, full=full),
        "LocalVolumes": lambda it: str(sum(mount.get("Driver") == "local" for mount in it.get("Mounts") or ())),
        "Networks": lambda it: ",".join((it.get("NetworkSettings") or {}).get("Networks") or {}),
        "Platform": lambda _: None,
    }
    table = (*TABLE, "Size") if with_size else TABLE
    raw = RAW + "size: {{.Size}}\n" if with_size else RAW
    return Listing(columns, HEADERS, table, quiet="ID", type_name="*formatter.ContainerContext", raw=raw)


def _image(it: Item, *, full: bool) -> str:
    image: str = it["Image"]
    if not image:
        return "<no image>"
    if full:
        return image
    if short_id(it.get("ImageID", "")) == short_id(image):
        return short_id(image)
    name, at, _ = image.partition("@")
    return name if at and ":" in name.rpartition("/")[2] else image


def _names(it: Item, *, full: bool) -> str:
    names = [name.removeprefix("/") for name in it.get("Names") or ()]
    # A link gives the target a name inside the other's, such as /other/alias.
    return ",".join(names if full else [name for name in names if "/" not in name])


def _size(it: Item) -> str:
    own, whole = it.get("SizeRw", 0), it.get("SizeRootFs", 0)
    return f"{size(own, 3)} (virtual {size(whole, 3)})" if whole > 0 else size(own, 3)


def _mounts(it: Item, *, full: bool) -> str:
    names = [mount.get("Name") or mount["Source"] for mount in it.get("Mounts") or ()]
    return ",".join(names if full else [ellipsis(name, MOUNT_LETTERS) for name in names])


def ports(found: list[Item]) -> str:
    """Ports in one cell, neighbours joined to ranges: `0.0.0.0:80-81->80-81/tcp, 443/tcp`."""
    cells: list[str] = []
    run: tuple[str, str, int, int] | None = None  # address, protocol, first and last port
    for port in sorted(found, key=_port_order):
        private, public, address = port["PrivatePort"], port.get("PublicPort", 0), port.get("IP", "")
        protocol = port.get("Type", "tcp")
        if public and public != private:
            cells.append(f"{_with_port(address, public)}->{private}/{protocol}")
            continue
        if run and run[:2] == (address, protocol) and private in (run[3], run[3] + 1):
            run = (*run[:3], private)
            continue
        if run:
            cells.append(_range(*run))
        run = (address, protocol, private, private)
    if run:
        cells.append(_range(*run))
    return ", ".join(cells)


def _port_order(port: Item) -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP", ""), port.get("PublicPort", 0), port.get("Type", "tcp")


def _range(address: str, protocol: str, first: int, last: int) -> str:
    span = str(first) if first == last else f"{first}-{last}"
    return f"{_with_port(address, span)}->{span}/{protocol}" if address else f"{span}/{protocol}"


def _with_port(address: str, port: int | str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
