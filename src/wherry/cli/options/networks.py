"""`--network` and the addresses and names a container has in its networks."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.cli.flags import Kind
from wherry.cli.options.environment import pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given

    Endpoint = dict[str, Any]

NOT_USER_DEFINED = ("default", "bridge", "host", "none")
# How docker names what is said twice.
SHOWN = {
    "ip": "IPv4 address",
    "ip6": "IPv6 address",
    "mac-address": "MAC address",
    "alias": "alias",
    "link-local-ip": "link-local IP addresses",
}
KEYS = ("name", "alias", "ip", "ip6", "mac-address", "link-local-ip", "driver-opt", "gw-priority")


def read(text: str) -> dict[str, Any]:
    """`name` or `name=x,alias=y,ip=z`. ValueError in docker's words."""
    if "=" not in text:
        return {"name": text}
    target: dict[str, Any] = {}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            raise ValueError(f"invalid field {field}")
        if key not in KEYS:
            raise ValueError(f"invalid field key {key}")
        if key in ("alias", "link-local-ip", "driver-opt"):
            target.setdefault(key, []).append(value.strip())
        else:
            target[key] = value.strip()
    if not target.get("name"):
        raise ValueError("network name/id is not specified")
    return target


NETWORK = Kind("network", read, gathers=True)


def mode_and_endpoints(given: Given) -> tuple[str, dict[str, Endpoint]]:
    """HostConfig's NetworkMode and the endpoints by network. Raises CommandError in docker's words."""
    wanted = [dict(target) for target in given["network"] + given["net"]] or [{"name": "default"}]
    names = [target["name"] for target in wanted]
    if len({_user_defined(name) for name in names}) > 1:
        raise CommandError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    _merge_flags(given, wanted[0])
    endpoints: dict[str, Endpoint] = {}
    for target in wanted:
        if target["name"] in endpoints:
            raise CommandError(f"network {target['name']!r} is specified multiple times".replace("'", '"'))
        endpoints[target["name"]] = _endpoint(target)
    if len(given["network"] + given["net"]) == 1 and not endpoints[names[0]]:
        return names[0], {}  # the daemon makes an endpoint without wishes by itself
    return names[0], endpoints


def _user_defined(name: str) -> bool:
    return name not in NOT_USER_DEFINED and not name.startswith("container:")


def _merge_flags(given: Given, first: dict[str, Any]) -> None:
    """Put the flags of one address into the first network."""
    flags = {
        "ip": given["ip"],
        "ip6": given["ip6"],
        "mac-address": given["mac-address"],
        "alias": given["network-alias"] + given["net-alias"],
        "link-local-ip": given["link-local-ip"],
    }
    user_defined = _user_defined(first["name"])
    for key, value in flags.items():
        if not value:
            continue
        if key in first:
            flag = {"alias": "network-alias"}.get(key, key)
            raise CommandError(f"conflicting options: cannot specify both --{flag} and per-network {SHOWN[key]}")
        first[key] = value
    if first.get("alias") and not user_defined:
        raise CommandError("network-scoped aliases are only supported for user-defined networks")
    if given["link"] and user_defined:
        first["link"] = given["link"]


def _endpoint(target: dict[str, Any]) -> Endpoint:
    ipam = {
        "IPv4Address": target.get("ip", ""),
        "IPv6Address": target.get("ip6", ""),
        "LinkLocalIPs": target.get("link-local-ip", []),
    }
    endpoint: Endpoint = {}
    if any(ipam.values()):
        endpoint["IPAMConfig"] = {key: value for key, value in ipam.items() if value}
    if target.get("link"):
        endpoint["Links"] = target["link"]
    if target.get("alias"):
        endpoint["Aliases"] = target["alias"]
    if target.get("mac-address"):
        endpoint["MacAddress"] = target["mac-address"]
    if target.get("driver-opt"):
        endpoint["DriverOpts"] = pairs(target["driver-opt"])
    if target.get("gw-priority"):
        endpoint["GwPriority"] = _priority(target["gw-priority"])
    return endpoint


def _priority(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise CommandError(f'invalid gw-priority: strconv.Atoi: parsing "{text}": invalid syntax') from None
