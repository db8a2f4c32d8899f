"""Writes src/wherry/libcontainer/seccomp/tables/ from the kernel's headers.

    dpkg -x linux-libc-dev_*_all.deb DIR && python scripts/syscall_tables.py DIR/usr/lib/linux/uapi

takes a linux-libc-dev of Linux 6.12 or later, which has the headers of every architecture. The tables are facts of
the kernel's ABI: a number never changes its meaning, so a newer header only adds lines.
"""

import pathlib
import re
import sys
import textwrap

TABLES = pathlib.Path(__file__).parents[1] / "src/wherry/libcontainer/seccomp/tables"
X32_BIT = 0x40000000
ARM_PRIVATE = 0x0F0000

SOURCES = {
    "x86_64": ("x86/asm/unistd_64.h", "x86-64"),
    "x86": ("x86/asm/unistd_32.h", "32-bit x86"),
    "x32": ("x86/asm/unistd_x32.h", "x32 without their bit 30"),
    "aarch64": ("arm64/asm/unistd_64.h", "64-bit ARM"),
    "arm": ("arm/asm/unistd-eabi.h", "32-bit ARM (EABI)"),
}
PRIVATE = {"arm": "arm/asm/unistd.h"}

DEFINE = re.compile(r"^#define __NR_(\w+)\s+\(?(?:__X32_SYSCALL_BIT \+ |__NR_SYSCALL_BASE \+ )?(\d+)\)?", re.MULTILINE)
PRIVATE_DEFINE = re.compile(r"^#define __ARM_NR_(\w+)\s+\(__ARM_NR_BASE\+(\d+)\)", re.MULTILINE)


def main(headers: pathlib.Path) -> None:
    """Write every table."""
    for name, (source, title) in SOURCES.items():
        table = {int(number): call for call, number in DEFINE.findall((headers / source).read_text())}
        private = {}
        if name in PRIVATE:
            found = PRIVATE_DEFINE.findall((headers / PRIVATE[name]).read_text())
            private = {ARM_PRIVATE + int(number): call for call, number in found}
        (TABLES / f"{name}.py").write_text(module(title, table, private))


def module(title: str, table: dict[int, str], private: dict[int, str]) -> str:
    """The text of one table."""
    words = []
    expected = 0
    for number, call in sorted(table.items()):
        if number != expected:
            words.append(f"@{number}")
        words.append(call)
        expected = number + 1
    for number, call in sorted(private.items()):
        words += [f"@{number}", call]
    lines = textwrap.wrap(" ".join(words), 118, break_long_words=False, break_on_hyphens=False)
    return (
        f'"""System calls of {title}, by number; `@n` jumps to a number. Made by scripts/syscall_tables.py."""\n\n'
        'NAMES = """\n' + "\n".join(lines) + '\n"""\n'
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
