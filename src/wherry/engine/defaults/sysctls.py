"""Kernel parameters that Docker sets in a container's own network namespace (moby `daemon/oci_linux.go`)."""

NETWORK = {
    # Ports below 1024 are no privilege in a namespace where nobody else listens.
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}


def default_sysctls(*, own_network: bool, own_users: bool) -> dict[str, str]:
    """Those for a container; none of them outside an own network namespace.

    In a user namespace the range of groups would name ids that are not mapped, which the kernel refuses.
    """
    if not own_network:
        return {}
    return {name: value for name, value in NETWORK.items() if name != "net.ipv4.ping_group_range" or not own_users}
