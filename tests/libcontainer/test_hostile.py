"""Root file systems and neighbours that try to lead a container's making astray; the canary tree must not notice."""

import ctypes
import os
import threading
from pathlib import Path

import pytest

from wherry.libcontainer.birth import BirthError
from wherry.linux import mount as kernel
from wherry.oci.runtime import Device, Mount, Root

pytestmark = pytest.mark.usefixtures("nothing_left")

RENAME_EXCHANGE = 2
ROUNDS = 60


def bind(source, destination, *options):
    return Mount(destination=destination, type="bind", source=str(source), options=("rbind", "rprivate", *options))


def replaced(path, target):
    path.rmdir()
    path.symlink_to(target)


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("inside", [True, False])
def test_proc_and_sys_are_never_mounted_through_a_symlink(cellar, canary, name, inside):
    target = "/tmp" if inside else str(canary)
    replaced(cellar.rootfs / name, target)
    kind = {"proc": "proc", "sys": "sysfs"}[name]
    with pytest.raises(BirthError, match=f'filesystem "{kind}" must be mounted on ordinary directory'):
        cellar.run("true")


@pytest.mark.parametrize("mounted", [True, False])
def test_a_dev_that_is_a_symlink_makes_nothing_on_the_host(cellar, canary, mounted):
    replaced(cellar.rootfs / "dev", str(canary))
    spec = cellar.spec("true")
    mounts = spec.mounts if mounted else [one for one in spec.mounts if not one.destination.startswith("/dev")]
    # The link means a path inside the root, and is made there.
    assert cellar.run("ls", f"{canary}", mounts=mounts).code == 0
    assert (cellar.rootfs / str(canary).lstrip("/")).is_dir()


@pytest.mark.parametrize("link", ["../../../../../../canary", "/canary", "/proc/self/root/canary", "/proc/1/root"])
def test_a_mount_s_target_behind_a_symlink_stays_inside(cellar, canary, tmp_path, link):
    (tmp_path / "volume").mkdir()
    (cellar.rootfs / "var/evil").symlink_to(link.replace("canary", str(canary).lstrip("/")))
    try:
        cellar.run("true", extra=(bind(tmp_path / "volume", "/var/evil/made/deep"),))
    except BirthError:
        return  # a magic link: refused


def test_a_dangling_symlink_as_a_target_is_followed_inside(cellar, tmp_path, canary):
    (tmp_path / "file").write_text("mounted")
    (cellar.rootfs / "etc/resolv.conf").symlink_to(f"{canary}/resolv.conf")
    result = cellar.run("cat", "/etc/resolv.conf", extra=(bind(tmp_path / "file", "/etc/resolv.conf"),))
    assert result.out == "mounted"


def test_nothing_inside_proc_can_be_covered_but_by_what_is_known(cellar, tmp_path):
    (tmp_path / "file").write_text("12 34\n")
    (tmp_path / "directory").mkdir()
    assert cellar.run("cat", "/proc/uptime", extra=(bind(tmp_path / "file", "/proc/uptime"),)).out == "12 34\n"
    for path in ("/proc/self/attr", "/proc/sys", "/proc/1", "//proc/sys", "/tmp/../proc/sys", "/proc/new"):
        with pytest.raises(BirthError, match="cannot be mounted because it is inside /proc"):
            cellar.run("true", extra=(bind(tmp_path / "directory", path),))


def test_a_symlink_into_proc_does_not_help_to_cover_it(cellar, tmp_path):
    (tmp_path / "directory").mkdir()
    (cellar.rootfs / "tmp/way").symlink_to("/proc/sys")
    with pytest.raises(BirthError, match="cannot be mounted because it is inside /proc"):
        cellar.run("true", extra=(bind(tmp_path / "directory", "/tmp/way/kernel"),))


@pytest.mark.parametrize("destination", ["/proc", "//proc", "/proc/", "/tmp/../proc"])
def test_proc_itself_is_covered_only_by_a_procfs(cellar, tmp_path, destination):
    (tmp_path / "directory").mkdir()
    with pytest.raises(BirthError, match='"/proc" cannot be mounted because it is not of type proc'):
        cellar.run("true", extra=(bind(tmp_path / "directory", destination),))


def test_the_root_cannot_be_mounted_over(cellar, tmp_path):
    with pytest.raises(BirthError, match="the root itself cannot be mounted over"):
        cellar.run("true", extra=(bind(tmp_path, "/"),))


def test_a_null_device_that_is_none_does_not_unmask(cellar, canary, tmp_path):
    """A volume at /dev brings a /dev/null that leads elsewhere (CVE-2025-31133)."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "shm").mkdir()
    (volume / "mqueue").mkdir()
    (volume / "pts").mkdir()
    (volume / "null").symlink_to("/proc/sys/kernel/core_pattern")
    spec = cellar.spec("true")
    mounts = [bind(volume, "/dev") if one.destination == "/dev" else one for one in spec.mounts]
    with pytest.raises(BirthError, match="container's /dev/null is invalid"):
        cellar.run("true", mounts=mounts)
    (volume / "null").unlink()
    (volume / "null").write_text("")
    with pytest.raises(BirthError, match="container's /dev/null is invalid"):
        cellar.run("true", mounts=mounts)


def test_an_image_s_null_device_is_covered_by_the_real_one(cellar, canary):
    (cellar.rootfs / "dev/null").symlink_to(canary / "null")
    result = cellar.run("stat", "-c", "%t:%T", "/dev/null")
    assert result.out == "1:3\n"


def test_without_a_dev_of_its_own_what_stands_there_must_be_the_device(cellar, canary):
    (cellar.rootfs / "dev/null").symlink_to(canary / "null")
    mounts = [one for one in cellar.spec("true").mounts if not one.destination.startswith("/dev")]
    with pytest.raises(BirthError, match='mknod "/dev/null": something else is there already'):
        cellar.run("true", mounts=mounts)


def test_a_console_that_is_a_symlink_is_refused(cellar, canary, tmp_path):
    volume = tmp_path / "volume"
    for name in ("shm", "mqueue", "pts"):
        (volume / name).mkdir(parents=True)
    os.mknod(volume / "null", 0o20666, os.makedev(1, 3))
    (volume / "console").symlink_to(canary / "secret")
    spec = cellar.spec("true")
    mounts = [bind(volume, "/dev") if one.destination == "/dev" else one for one in spec.mounts]
    with pytest.raises(BirthError, match="/dev/console is a symlink"):
        cellar.run("true", mounts=mounts, process={"terminal": True})


def test_no_descriptor_leads_out_as_a_working_directory(cellar):
    """CVE-2024-21626."""
    for number in range(3, 40):
        with pytest.raises(BirthError):
            cellar.run("pwd", process={"cwd": f"/proc/self/fd/{number}"})


def test_no_descriptor_leads_out_when_entering(cellar):
    spec = cellar.spec("sleep", "1000")
    child = cellar.start(spec)
    for number in range(3, 20):
        with pytest.raises(BirthError):
            cellar.enter(child, spec, "pwd", cwd=f"/proc/self/fd/{number}")


def test_a_device_s_path_behind_a_symlink_is_made_inside(cellar, canary):
    (cellar.rootfs / "var/devices").symlink_to(canary)
    device = Device(type="c", path="/var/devices/made", major=1, minor=3)
    assert cellar.run("stat", "-c", "%t:%T", "/var/devices/made", linux={"devices": (device,)}).out == "1:3\n"


def test_a_working_directory_behind_a_symlink_is_made_inside(cellar, canary):
    (cellar.rootfs / "var/work").symlink_to(canary)
    assert cellar.run("pwd", process={"cwd": "/var/work/made"}).out.strip().endswith("canary/made")


def test_sysctls_are_written_past_what_is_mounted(cellar):
    """The container's /proc is not looked at: the write goes to a procfs of our own (CVE-2025-52881)."""
    fake = Mount(destination="/proc", type="tmpfs", source="tmpfs")
    mounts = [one for one in cellar.spec("true").mounts if one.destination != "/proc"]
    with pytest.raises(BirthError, match="not of type proc"):
        cellar.run("true", mounts=[*mounts, fake], linux={"sysctl": {"net.ipv4.ip_forward": "1"}})
    result = cellar.run(
        "true", mounts=mounts, linux={"sysctl": {"net.ipv4.ip_forward": "1"}, "masked_paths": (), "readonly_paths": ()}
    )
    assert result.code == 0


@pytest.mark.parametrize("name", ["net.ipv4/../../kernel.core_pattern", "net/../kernel/core_pattern", "net...kernel.x"])
def test_a_sysctl_s_name_cannot_lead_elsewhere(cellar, name):
    with pytest.raises(BirthError):
        cellar.run("true", linux={"sysctl": {name: "x"}})


def test_a_target_that_is_swapped_all_the_time_never_leads_out(cellar, canary, tmp_path):
    """Another container that shares a volume exchanges a directory and a symlink (CVE-2021-30465, CVE-2024-45310)."""
    volume = tmp_path / "volume"
    (volume / "x").mkdir(parents=True)
    (volume / "link").symlink_to(canary)
    (tmp_path / "other").mkdir()
    stop = threading.Event()
    rename = ctypes.CDLL(None).renameat2

    def swap():
        one, other = str(volume / "x").encode(), str(volume / "link").encode()
        while not stop.is_set():
            rename(-100, one, -100, other, RENAME_EXCHANGE)

    spec = cellar.spec("cat", "/v/x/secret", extra=(bind(volume, "/v"), bind(tmp_path / "other", "/v/x/y")))
    pid = os.fork()
    if pid == 0:
        swap()
    try:
        for _ in range(ROUNDS):
            try:
                assert "host secret" not in cellar.run(spec=spec).out
            except BirthError:
                continue
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_what_the_container_mounts_is_not_seen_outside(cellar):
    root = str(cellar.rootfs)
    kernel.mount(root, root, None, kernel.MS_BIND)
    try:
        kernel.mount(None, root, None, kernel.MS_SHARED)
        before = mounts_below(root)
        cellar.start(cellar.spec("sleep", "100"))
        assert mounts_below(root) == before
    finally:
        cellar.undo.close()
        kernel.umount2(root, kernel.MNT_DETACH)


def mounts_below(root):
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if root in line]


def test_a_root_that_is_not_there_is_told(cellar):
    spec = cellar.spec("true", root=None)
    with pytest.raises(BirthError, match="Root must be specified"):
        cellar.run(spec=spec)
    assert Root(path="x").path == "x"
