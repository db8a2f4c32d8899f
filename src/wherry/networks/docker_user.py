"""Living beside dockerd: its iptables drop what is forwarded, unless DOCKER-USER, its chain for others, accepts.

A packet that one table drops cannot be saved by another, and dockerd makes `drop` the policy of iptables' FORWARD
chain. What passes between our bridges and elsewhere is decided in our own table; the two rules here, the last of
DOCKER-USER, say so to dockerd's. Where there is no such chain nothing is written: a FORWARD policy of `drop` is then
the administrator's own, and `is_forwarding_blocked` tells.
"""

import logging
import subprocess

from wherry.linux.nftables import Nftables

CHAIN = "DOCKER-USER"
_WAIT_SECONDS = "5"
_log = logging.getLogger(__name__)


def accept(nftables: Nftables, bridge: str) -> None:
    """Have dockerd's rules let a bridge's packets through, when it runs here. Safe to repeat."""
    if not _has_docker_user(nftables):
        return
    for rule in _rules(bridge):
        if _iptables("-C", CHAIN, *rule).returncode != 0:
            added = _iptables("-I", CHAIN, str(_last_position()), *rule)
            if added.returncode != 0:
                _log.warning("dockerd's firewall drops what bridge %s forwards: %s", bridge, added.stderr.strip())


def withdraw(nftables: Nftables, bridge: str) -> None:
    """Take those rules away again; those that are not there are fine."""
    if _has_docker_user(nftables):
        for rule in _rules(bridge):
            _iptables("-D", CHAIN, *rule)


def is_forwarding_blocked(nftables: Nftables) -> bool:
    """Whether somebody else's table drops by policy what is forwarded, and has no DOCKER-USER to ask."""
    try:
        objects = nftables.query("list chains")
    except OSError:
        return False
    chains = [found["chain"] for found in objects if "chain" in found]
    if any(chain["name"] == CHAIN for chain in chains):
        return False
    return any(
        chain.get("hook") == "forward" and chain.get("policy") == "drop" and chain["family"] in ("ip", "inet")
        for chain in chains
    )


def _rules(bridge: str) -> tuple[tuple[str, ...], ...]:
    mark = ("-m", "comment", "--comment", f"wherry {bridge}", "-j", "ACCEPT")
    return (("-i", bridge, *mark), ("-o", bridge, *mark))


def _has_docker_user(nftables: Nftables) -> bool:
    try:
        nftables.run(f"list chain ip filter {CHAIN}")
    except OSError:
        # The legacy tables of the kernel are not nftables': iptables is asked only where they are in use.
        return _legacy_filter_is_in_use() and _iptables("-n", "-L", CHAIN).returncode == 0
    return True


def _legacy_filter_is_in_use() -> bool:
    try:
        with open("/proc/net/ip_tables_names", encoding="ascii") as file:
            return "filter" in file.read().split()
    except OSError:
        return False


def _last_position() -> int:
    """Where a rule goes to be the last one, but before the RETURN that older dockerds end the chain with."""
    rules = [line for line in _iptables("-S", CHAIN).stdout.splitlines() if line.startswith("-A ")]
    ends_with_return = bool(rules) and rules[-1] == f"-A {CHAIN} -j RETURN"
    return len(rules) + (0 if ends_with_return else 1)


def _iptables(*arguments: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["iptables", "-w", _WAIT_SECONDS, *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(arguments, 127, "", str(error))
