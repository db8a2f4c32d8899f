"""In place of a driver whose package is gone: its containers are not running and cannot be started."""

import os
from collections.abc import Collection

from wherry.drivers.driver import Birth, ExitStatus, Process
from wherry.model.errors import NotFound, Unavailable
from wherry.model.finding import Finding


class Absent:
    """`wherry.drivers.driver.ExecDriver` that has nothing."""

    def __init__(self, name: str) -> None:
        """Stand in for the driver of this name."""
        self.name = name

    async def open(self) -> None:
        """There is nothing to get ready."""

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def start(self, birth: Birth) -> Process:
        """Raises Unavailable; what it was given is closed."""
        given = (birth.rootfs_fd, *(each.fd for each in birth.mounts), *birth.held_fds)
        for fd in (*given, birth.netns_fd):
            if fd is not None:
                os.close(fd)
        for session in birth.sessions:
            session.socket.close()
        raise Unavailable(f"container {birth.id} was made for the runtime {self.name}, which is not installed any more")

    async def adopt(self, container_id: str) -> Process | ExitStatus | None:  # noqa: ARG002 - nothing is known of any
        """Nothing is known."""
        return None

    async def forget(self, container_id: str) -> None:
        """Nothing is kept."""

    async def sweep(self, known: Collection[str]) -> list[str]:  # noqa: ARG002 - there is none but those
        """Nothing is there."""
        return []

    async def audit(self, cgroup_parents: Collection[str]) -> list[Finding]:  # noqa: ARG002 - nothing is there
        """Nothing is wrong that could be seen."""
        return []

    async def mend(self, finding: Finding) -> None:
        """Raises NotFound."""
        raise NotFound(f"{finding.name} is not of {self.name}")
