"""What the maker of a container should know although nothing is refused."""

from wherry.model.container import Container


def warnings_of(container: Container, *, lacking: tuple[str, ...]) -> tuple[str, ...]:
    """Warnings of the create answer, in dockerd's words where it has such a warning.

    `lacking` are the kernel's capabilities that the daemon itself does not have and so cannot give.
    """
    warnings: list[str] = []
    if container.host_config.privileged and lacking:
        names = ", ".join(lacking)
        warnings.append(f"The daemon itself lacks {names}, so the privileged container is without")
    if container.host_config.network_mode == "host" and container.host_config.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    if any(mount.kind == "image" for mount in container.mounts):
        warnings.append("Image mount is an experimental feature")
    return tuple(warnings)
