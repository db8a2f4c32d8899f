#!/usr/bin/env python3
"""Runs a command in a small virtual machine that has cgroup v2 and this host's files.

    python tests/guest/machine.py [--timeout SECONDS] -- COMMAND [WORD…]

A Debian cloud kernel boots under qemu's own emulation, so no /dev/kvm is needed. Inside, the command sees the whole
tree of the host (virtiofs), runs as root in the directory it was called from, and may write everywhere: what it
writes stays in the machine's memory and is gone afterwards. Cgroups are pure version 2 with every controller on.

The exit status is the command's; 77 when the machine cannot be made here, with the reason on stderr. The kernel comes
by `apt-get download` into $XDG_CACHE_HOME/wherry-lab (~/.cache/wherry-lab), once.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

SKIP = 77
TERMINATED = 143
MEMORY_MIB = 1536
KERNEL_PACKAGE = "linux-image-cloud-amd64"
# insmod wants them in this order.
MODULES = (
    "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "fuse", "virtiofs",
    "overlay",
)  # fmt: skip
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
STATUS = re.compile(r"^wherry-guest: status (\d+)\r?$", re.MULTILINE)
START = "wherry-guest: start"

INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for name in {modules}; do insmod /modules/$name.ko; done
mkdir -p /host /top /root
mount -t virtiofs host /host
mount -t tmpfs -o mode=755 tmpfs /top
mkdir /top/upper /top/work
mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/work overlay /root
# Not busybox: its shell runs /proc/self/exe, and until /proc is mounted that is one of the host.
exec switch_root /root /bin/sh {script}
"""

INSIDE = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
end() {{ echo; echo "wherry-guest: status $1"; {busybox} poweroff -f; }}
umask 022
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs dev /dev || end 70
mkdir -p /dev/pts /dev/shm /dev/net
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs -o mode=755 tmpfs /run; mkdir -p /run/tmp /run/lock
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup || end 71
mount -t securityfs securityfs /sys/kernel/security
for name in $(cat /sys/fs/cgroup/cgroup.controllers); do echo +$name > /sys/fs/cgroup/cgroup.subtree_control; done
mkdir -p /lib/modules && ln -sfn {modules} /lib/modules/$(uname -r)
printf '#!/bin/sh\nexec {busybox} modprobe "$@"\n' > /run/modprobe && chmod +x /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
mknod /dev/net/tun c 10 200; ln -sf /proc/self/fd /dev/fd
hostname guest; {busybox} ip link set lo up
export TMPDIR=/run/tmp PYTHONDONTWRITEBYTECODE=1 WHERRY_GUEST=1
cd {directory} || end 72
echo; echo "{start}"
{command} < /dev/null
end $?
"""


class Unavailable(Exception):
    """The machine cannot be made on this host; the message says what is missing."""


def main():
    """Run a command line's command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds until the machine is switched off")
    parser.add_argument("command", nargs="+")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        return run(words.command, words.timeout)
    except Unavailable as reason:
        print(f"no guest: {reason}", file=sys.stderr)
        return SKIP


def run(command, timeout_seconds):
    """Boot, run, and hand on the command's exit status. Raises Unavailable."""
    programs = find_programs()
    kernel, modules = find_kernel(programs["busybox"])
    cache().mkdir(parents=True, exist_ok=True)
    # Beside the kernel and not in /tmp, which the machine may see differently.
    with tempfile.TemporaryDirectory(dir=cache(), prefix="run-") as directory:
        place = pathlib.Path(directory)
        script = place / "inside.sh"
        script.write_text(
            INSIDE.format(
                busybox=programs["busybox"],
                modules=modules,
                directory=shlex.quote(os.getcwd()),
                start=START,
                command=shlex.join(command),
            )
        )
        initrd = make_initrd(place, programs["busybox"], modules, script)
        return boot(place, programs, kernel, initrd, timeout_seconds)


def find_programs():
    """qemu, virtiofsd and a static busybox. Raises Unavailable."""
    if os.geteuid() != 0:
        raise Unavailable("virtiofsd needs root")
    if os.uname().machine != "x86_64":
        raise Unavailable(f"the kernel is for x86_64, this is {os.uname().machine}")
    found = {name: shutil.which(name) for name in ("qemu-system-x86_64", "busybox", "dpkg", "apt-get")}
    found["virtiofsd"] = next((path for path in VIRTIOFSD if os.access(path, os.X_OK)), None)
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise Unavailable(f"not installed: {', '.join(missing)} (qemu-system-x86 qemu-system-common busybox-static)")
    return found


def cache():
    """Where the kernel is kept."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "wherry-lab"


def find_kernel(busybox):
    """An unpacked kernel and its modules' directory, fetched when there is none. Raises Unavailable."""
    root = cache() / "kernel"
    if not (root / "complete").exists():
        fetch_kernel(root, busybox)
    (modules,) = (root / "lib/modules").iterdir()
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    return kernel, modules


def fetch_kernel(root, busybox):
    """Download and unpack the distribution's newest cloud kernel. Raises Unavailable."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    depends = said("apt-cache", "depends", "--important", KERNEL_PACKAGE)
    names = re.findall(r"Depends: (linux-image-\S+-cloud-amd64)", depends)
    if not names:
        raise Unavailable(f"apt knows no {KERNEL_PACKAGE}")
    said("apt-get", "download", names[0], where=root)
    (package,) = root.glob("*.deb")
    said("dpkg", "-x", str(package), str(root))
    package.unlink()
    if (root / "usr/lib/modules").is_dir() and not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    (modules,) = (root / "lib/modules").iterdir()
    said(busybox, "depmod", "-b", str(root), modules.name)
    (root / "complete").touch()


def said(*words, where=None):
    """The output of a program. Raises Unavailable when it fails."""
    done = subprocess.run(words, cwd=where, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{' '.join(words[:2])} failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return done.stdout


def make_initrd(place, busybox, modules, script):
    """A first file system with what is needed to mount the real one."""
    tree = place / "initrd"
    for name in ("bin", "proc", "sys", "dev", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/busybox")
    for name in MODULES:
        # Built into some kernels: then there is no file, and insmod's complaint does no harm.
        for file in modules.rglob(f"{name}.ko"):
            shutil.copy(file, tree / "modules")
    init = tree / "init"
    init.write_text(INIT.format(modules=" ".join(MODULES), script=script))
    init.chmod(0o755)
    packed = place / "initrd.cpio"
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*"))) + "\n"
    with packed.open("wb") as output:
        subprocess.run([busybox, "cpio", "-o", "-H", "newc"], cwd=tree, input=names.encode(), stdout=output,
                       stderr=subprocess.DEVNULL, check=True)  # fmt: skip
    return packed


def boot(place, programs, kernel, initrd, timeout_seconds):
    """Run the machine to its end; its console goes to our stdout from the command's start on."""
    socket = place / "virtiofs.sock"
    share = ["-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=always", "--rlimit-nofile=0"]
    with (
        (place / "virtiofsd.log").open("w") as log,
        subprocess.Popen([programs["virtiofsd"], f"--socket-path={socket}", *share], stdout=log, stderr=log) as files,
    ):
        try:
            done = subprocess.run(
                [*qemu(programs["qemu-system-x86_64"], socket), "-kernel", kernel, "-initrd", initrd],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_seconds,
            )  # fmt: skip
            console = done.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as late:
            console = (late.stdout or b"").decode(errors="replace")
            print(f"the guest was switched off after {timeout_seconds:.0f} seconds", file=sys.stderr)
        finally:
            files.terminate()
    return report(console)


def report(console):
    """Show the command's output and give its status; everything when it never started."""
    status = STATUS.search(console)
    _, started, output = console.rpartition(START)
    text = STATUS.split(output)[0] if started else console
    print(text.replace("\r\n", "\n").strip())
    return int(status[1]) if status else 1


def qemu(program, socket):
    """The command line of the machine but for kernel and initrd."""
    return [
        program, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MEMORY_MIB), "-nodefaults",
        "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
        "-object", f"memory-backend-memfd,id=mem,size={MEMORY_MIB}M,share=on", "-numa", "node,memdev=mem",
        "-chardev", f"socket,id=files,path={socket}", "-device", "vhost-user-fs-pci,chardev=files,tag=host",
        "-append", "console=ttyS0 quiet loglevel=1 panic=-1 cgroup_no_v1=all",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
