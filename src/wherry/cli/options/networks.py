"""`--network` and the addresses and names a container has in its networks."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.cli.options.environment import pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given

    Endpoint = dict[str, Any]

NOT_USER_DEFINED = ("default", "bridge", "host", "none")
# The flags that belong to the first network, and what the long form of --network calls the same.
ADDRESS_FLAGS = ("ip", "ip6", "link-local-ip", "mac-address", "network-alias", "net-alias")
KEYS = ("name", "alias", "ip", "ip6", "mac-address", "link-local-ip", "driver-opt", "gw-priority")


def mode_and_endpoints(given: Given) -> tuple[str, dict[str, Endpoint]]:
    """HostConfig's NetworkMode and the endpoints by network. Raises CommandError in docker's words."""
    wanted = [_target(text) for text in given["network"] + given["net"]] or [{"name": "default"}]
    names = [target["name"] for target in wanted]
    if len(wanted) > 1 and any(not _user_defined(name) and name not in ("bridge", "default") for name in names):
        wrong = next(name for name in names if not _user_defined(name) and name not in ("bridge", "default"))
        raise CommandError(
            f"conflicting options: cannot attach both user-defined and non-user-defined network-modes: {wrong}"
        )
    _merge_flags(given, wanted[0])
    endpoints: dict[str, Endpoint] = {}
    for target in wanted:
        if target["name"] in endpoints:
            raise CommandError(f"network {target['name']!r} is specified multiple times".replace("'", '"'))
        endpoints[target["name"]] = _endpoint(target)
    if len(wanted) == 1 and "mac" not in wanted[0] and len(wanted[0]) == 1:
        endpoint = endpoints[names[0]]
        return names[0], ({names[0]: endpoint} if any(endpoint.values()) else {})
    return names[0], endpoints


def _user_defined(name: str) -> bool:
    return name not in NOT_USER_DEFINED and not name.startswith("container:")


def _target(text: str) -> dict[str, Any]:
    """`name` or `name=x,alias=y,ip=z`."""
    if "=" not in text:
        return {"name": text}
    target: dict[str, Any] = {}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            raise CommandError(f"invalid field {field}")
        if key not in KEYS:
            raise CommandError(f"invalid field key {key}")
        if key in ("alias", "link-local-ip", "driver-opt"):
            target.setdefault(key, []).append(value.strip())
        else:
            target[key] = value.strip()
    if not target.get("name"):
        raise CommandError("network name/id is not specified")
    return target


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
            raise CommandError(f"conflicting options: cannot specify both --{flag} and per-network {key}")
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
