"""The file system of a first image, without a network: busybox, made of the static program of distributions."""

import io
import struct
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from wherry.model.errors import InvalidParameter

MTIME = 1704067200
ELF_MAGIC = b"\x7fELF"
PT_INTERP = 3
SECONDS_MAX = 10

# Directories and their modes; what a container's own mounts cover must be there too.
DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "lib": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "sbin": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/spool": 0o755,
    "var/spool/mail": 0o755,
    "var/www": 0o755,
}
FILES = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "bin:x:2:2:bin:/bin:/bin/false\n"
        "sys:x:3:3:sys:/dev:/bin/false\n"
        "sync:x:4:100:sync:/bin:/bin/sync\n"
        "mail:x:8:8:mail:/var/spool/mail:/bin/false\n"
        "www-data:x:33:33:www-data:/var/www:/bin/false\n"
        "operator:x:37:37:Operator:/var:/bin/false\n"
        "nobody:x:65534:65534:nobody:/home:/bin/false\n"
    ),
    "etc/group": (
        "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nlp:x:7:\nmail:x:8:\nkmem:x:9:\n"
        "wheel:x:10:root\ncdrom:x:11:\ndialout:x:18:\nfloppy:x:19:\nvideo:x:28:\naudio:x:29:\ntape:x:32:\n"
        "www-data:x:33:\noperator:x:37:\nutmp:x:43:\nplugdev:x:46:\nstaff:x:50:\nlock:x:54:\nnetdev:x:82:\n"
        "users:x:100:\nnobody:x:65534:\n"
    ),
    "etc/shadow": "root:*:19723:0:99999:7:::\nnobody:*:19723:0:99999:7:::\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
}
PRIVATE = frozenset({"etc/shadow"})


def busybox_tar(program: Path) -> bytes:
    """A root file system around busybox as a tar, the same bytes for the same program. Raises InvalidParameter."""
    data = program.read_bytes()
    if not _is_static(data):
        raise InvalidParameter(f"{program} is not a static program: install the package busybox-static")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, mode in DIRECTORIES.items():
            tar.addfile(_member(name, mode, kind=tarfile.DIRTYPE))
        _add(tar, "bin/busybox", data, 0o755)
        for applet in _applets(program):
            tar.addfile(_link(applet))
        for name, text in FILES.items():
            _add(tar, name, text.encode(), 0o640 if name in PRIVATE else 0o644)
    return packed.getvalue()


def _is_static(program: bytes) -> bool:
    """Whether an ELF program asks for no interpreter (elf(5), PT_INTERP)."""
    if not program.startswith(ELF_MAGIC):
        return False
    is_wide = program[4] == 2
    at, sizes_at = (32, 54) if is_wide else (28, 42)
    (table,) = struct.unpack_from("<Q" if is_wide else "<I", program, at)
    size, count = struct.unpack_from("<HH", program, sizes_at)
    return all(struct.unpack_from("<I", program, table + size * number)[0] != PT_INTERP for number in range(count))


def _applets(program: Path) -> Iterable[str]:
    """Where busybox wants its applets, such as `usr/bin/awk`."""
    listed = subprocess.run([program, "--list-full"], capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    names = sorted(set(listed.stdout.split()) - {"bin/busybox", "busybox"})
    if listed.returncode or not names:
        raise InvalidParameter(f"{program} does not list its applets: {listed.stderr.strip()}")
    # Debian's list has no directories for a few; those belong to /bin.
    return [name if "/" in name else f"bin/{name}" for name in names if _is_place(name)]


def _is_place(name: str) -> bool:
    directory = name.rpartition("/")[0]
    return directory in DIRECTORIES or not directory


def _link(applet: str) -> tarfile.TarInfo:
    member = _member(applet, 0o777, kind=tarfile.SYMTYPE)
    member.linkname = "/bin/busybox"
    return member


def _member(name: str, mode: int, *, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode = mode
    member.type = kind
    member.mtime = MTIME
    return member


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = _member(name, mode)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
