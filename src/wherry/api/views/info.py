"""`GET /info` for clients of older versions."""

from typing import Any

from wherry.api.versions import Version


def info_view(info: dict[str, Any], version: Version) -> dict[str, Any]:
    """The newest answer, made older step by step as dockerd 28.5 does."""
    wire = dict(info)
    if version >= (1, 50):
        # Gone with 1.50; iptables of bridged frames was never a limit of the engine.
        wire.pop("BridgeNfIptables", None)
        wire.pop("BridgeNfIp6tables", None)
    else:
        wire.pop("DiscoveredDevices", None)
    if version < (1, 49):
        wire.pop("FirewallBackend", None)
        wire["RuncCommit"] = {**wire["RuncCommit"], "Expected": wire["RuncCommit"]["ID"]}
    if version < (1, 47):
        wire["RegistryConfig"] = {
            **wire["RegistryConfig"],
            "AllowNondistributableArtifactsCIDRs": None,
            "AllowNondistributableArtifactsHostnames": None,
        }
    if version < (1, 46):
        wire.pop("Containerd", None)
    if version < (1, 42):
        wire["KernelMemory"] = True
    if version < (1, 25):
        wire["SecurityOptions"] = [_bare_name(option) for option in wire["SecurityOptions"]]
    return wire


def _bare_name(option: str) -> str:
    """`name=seccomp,profile=builtin` was `seccomp`."""
    return option.partition(",")[0].removeprefix("name=")
