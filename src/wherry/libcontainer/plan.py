"""All that a birth needs, as values: what the container is to be, and descriptors of what it gets from the host."""

from msgspec import Struct

from wherry.libcontainer.cgroups import Cgroup
from wherry.oci.runtime import Spec


class Stdio(Struct, frozen=True, kw_only=True):
    """Descriptors that become 0, 1 and 2 of the process; not looked at when it gets a terminal."""

    stdin: int
    stdout: int
    stderr: int


class Plan(Struct, frozen=True, kw_only=True):
    """Everything of the host is open already: nothing here is looked up by path in a host mount namespace.

    `rootfs_fd` is a detached mount. `mounts` are (destination, detached mount), moved in where that destination
    stands in `spec.mounts`; all other mounts there are made inside. `cgroup` is made and limited by the caller.
    `seccomp_program` is BPF, empty for none; `seccomp_flags` are seccomp(2)'s.

    `wait_for_start` holds the process back right before execution, until `Child.release`, or when `start_fds` (the
    ends of two pipes: to read, to write) are given, until `go` is read there; then it reports on the other one.
    `preserve_fds` descriptors from 3 on are left to the program. `bundle` is what hooks are told; those of the
    runtime run in the mount namespace `host_mounts_fd`, by default in that of the process's parent.
    """

    id: str
    spec: Spec
    rootfs_fd: int
    mounts: tuple[tuple[str, int], ...] = ()
    netns_fd: int | None = None
    cgroup: Cgroup | None = None
    seccomp_program: bytes = b""
    seccomp_flags: int = 0
    wait_for_start: bool = False
    start_fds: tuple[int, int] | None = None
    preserve_fds: int = 0
    new_keyring: bool = True
    bundle: str = ""
    host_mounts_fd: int | None = None
