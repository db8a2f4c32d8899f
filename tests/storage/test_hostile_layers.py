"""Layers made to harm: nothing outside changes, and what is inside is what a chroot would have made of it.

The corpus is one archive for each known trick (CVE-2021-32760, CVE-2022-23648, CVE-2024-1753, CVE-2026-17106 and
their kin), applied alone and on a parent that prepared the ground, to every driver.
"""

import io
import os
import stat
import struct
import sys
import tarfile
from pathlib import Path

import pytest

from wherry.model.errors import InvalidParameter
from wherry.storage.workforce import WORKFORCE


@pytest.fixture
def canary(root, tree_of):
    """A tree of the host's that must be the same, inode by inode, after every attempt."""
    path = root / "canary"
    (path / "dir").mkdir(parents=True)
    (path / "secret").write_text("the host's own")
    (path / "secret").chmod(0o600)
    (path / "dir/file").write_text("too")
    os.mkfifo(path / "fifo")
    before = _look(path, tree_of)
    yield path
    assert _look(path, tree_of) == before


def _look(path, tree_of):
    status = {str(entry): os.lstat(entry) for entry in [path, *path.rglob("*")]}
    kept = {name: (entry.st_ino, entry.st_mode, entry.st_mtime_ns, entry.st_ctime_ns) for name, entry in status.items()}
    return kept, tree_of(path)


def _up(canary):
    return "../" * 20 + str(canary)[1:]


# What a member's name may try. Each gives the paths that are there afterwards, canary's path standing for itself.
NAMES = {
    "dot dot": ("../../x", ["x"]),
    "dot dot inside": ("a/../../x", ["x"]),
    "dot dot to a directory": ("a/b/../../..", []),
    "absolute": ("/x", ["x"]),
    "slashes and dots": ("//./a//./x/.", ["a", "a/x"]),
    "newline": ("a\nb", ["a\nb"]),
    "backslashes": ("..\\..\\x", ["..\\..\\x"]),
    "not utf-8": (b"\xff\xfe/\x80", [b"\xff\xfe", b"\xff\xfe/\x80"]),
    "255 bytes": ("n" * 255, ["n" * 255]),
    "deep": ("d/" * 400 + "x", ["/".join("d" * n) for n in range(1, 401)] + ["d/" * 400 + "x"]),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_never_leads_out(driver, layer, fill, seen, chain_id, canary, case):
    name, expected = NAMES[case]
    fill(driver, layer().file(name, b"data"), "a")
    assert sorted(seen(driver, chain_id("a"))) == sorted(os.fsencode(path) for path in expected)


def test_names_with_the_way_to_the_canary_land_inside(driver, layer, fill, seen, chain_id, canary):
    fill(driver, layer().file(_up(canary) + "/secret", b"mine").directory(_up(canary), mode=0o777), "a")
    assert os.fsencode(str(canary)[1:]) + b"/secret" in seen(driver, chain_id("a"))


def _through_symlink(layer, canary):
    return layer().symlink("a", str(canary)).file("a/new", b"x").file("a/secret", b"overwritten")


def _through_root_symlink(layer, canary):
    return layer().symlink("a", "/").file(f"a{canary}/secret", b"overwritten")


def _through_relative_symlink(layer, canary):
    return layer().symlink("a", _up(canary)).file("a/secret", b"overwritten")


def _through_a_chain(layer, canary):
    made = layer().symlink("a", "b").symlink("b", "c/d").directory("c").symlink("c/d", "..").symlink("e", str(canary))
    return made.file("a/e/secret", b"overwritten")


def _directory_over_symlink(layer, canary):
    return layer().symlink("a", str(canary)).directory("a", mode=0o777).file("a/secret", b"mine")


def _attributes_through_symlink(layer, canary):
    return (
        layer().symlink("a", str(canary / "secret")).symlink("a", str(canary / "secret"), mode=0o4777, uid=99, mtime=1)
    )


def _hard_link_to_host(layer, canary):
    return layer().link("a", str(canary / "secret"))


def _hard_link_through_symlink(layer, canary):
    return layer().symlink("s", str(canary)).link("a", "s/secret", mode=0o4777)


def _hard_link_up(layer, canary):
    return layer().link("a", _up(canary) + "/secret", mode=0o777)


def _write_through_hard_link_to_symlink(layer, canary):
    return layer().symlink("s", str(canary / "secret")).link("a", "s", mode=0o4777, uid=99).file("a", b"overwritten")


def _whiteout_through_symlink(layer, canary):
    return layer().symlink("a", str(canary)).file("a/.wh.secret").file("a/dir/.wh..wh..opq")


def _whiteout_up(layer, canary):
    return layer().file(_up(canary) + "/.wh.secret").file("../.wh.x")


def _opaque_through_symlink(layer, canary):
    return layer().symlink("a", str(canary)).file("a/.wh..wh..opq")


def _pax_path(layer, canary):
    return layer().pax({b"path": os.fsencode(_up(canary)) + b"/secret"}).file("harmless", b"overwritten")


def _pax_linkpath(layer, canary):
    return layer().pax({b"linkpath": os.fsencode(canary / "secret")}).link("a", "harmless")


def _fifo_over_symlink(layer, canary):
    return layer().symlink("a", str(canary / "secret")).node("a", tarfile.FIFOTYPE)


def _replaced_parent(layer, canary):
    return layer().directory("a").file("a/x").symlink("a", str(canary)).file("a/secret", b"overwritten")


TRICKS = [name for name in dict(globals()) if name.startswith("_") and name not in {"_look", "_up"}]
TRICKS = [name for name in TRICKS if callable(globals()[name]) and not name.startswith("__")]


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("with_parent", [False, True], ids=["alone", "on a parent"])
def test_the_host_is_never_touched(driver, layer, fill, seen, chain_id, canary, trick, with_parent):
    parent = None
    if with_parent:
        ground = layer().symlink("a", str(canary)).symlink("b", "/").symlink("s", str(canary)).symlink("e", _up(canary))
        fill(driver, ground, "e")
        parent = "e"
    try:
        fill(driver, globals()[trick](layer, canary), "a", parent=parent)
    except InvalidParameter:
        assert not driver.exists(chain_id("a"))
        return
    for entry in seen(driver, chain_id("a")).values():
        assert entry["data"] is None or entry["mode"].startswith("0o10")


def test_links_to_what_is_not_in_the_image_are_refused(driver, layer, fill, canary):
    for target in (str(canary / "secret"), _up(canary) + "/secret", "missing", "/etc/shadow", "", "."):
        with pytest.raises(InvalidParameter):
            fill(driver, layer().link("a", target), "a")


def test_a_link_through_a_symlink_reaches_only_the_image(driver, layer, fill, seen, chain_id, canary):
    inside = str(canary)[1:]
    made = layer().file(f"{inside}/secret", b"the image's").symlink("s", str(canary)).link("a", "s/secret")
    fill(driver, made, "a")
    tree = seen(driver, chain_id("a"))
    assert tree[b"a"]["same as"] == tree[os.fsencode(inside) + b"/secret"]["same as"]


REFUSED = {
    "nul in a pax name": lambda layer: layer().pax({b"path": b"a\0b"}).file("x"),
    "name of 256 bytes": lambda layer: layer().file("n" * 256),
    "path of 5000 directories": lambda layer: layer().file("d/" * 5000 + "x"),
    "symlink loop": lambda layer: layer().symlink("a", "b").symlink("b", "a").file("a/x"),
    "file as directory": lambda layer: layer().file("f").file("f/x"),
    "empty whiteout": lambda layer: layer().file(".wh."),
    "whiteout of dot": lambda layer: layer().file("d/.wh.."),
    "whiteout of dot dot": lambda layer: layer().file("d/.wh..."),
    "unknown type": lambda layer: layer().add("x", b"Z"),
    "multi-volume member": lambda layer: layer().add("x", b"M"),
    "garbage": lambda layer: layer().raw(b"not a tar at all".ljust(512, b"!")),
    "cut off header": lambda layer: layer().raw(b"x" * 100),
    "wrong checksum": lambda layer: layer().raw(layer().file("x").bytes()[:512].replace(b"x", b"y", 1)),
    "pax header of a gigabyte": lambda layer: layer().add("x", b"x", size=1 << 30),
    "pax header over a megabyte": lambda layer: layer().pax({b"comment": bytes(1 << 20)}).file("x"),
    "pax record without end": lambda layer: layer().pax(b"999 path=x\n").file("x"),
    "pax record of length zero": lambda layer: layer().pax(b"0 path=x\n").file("x"),
    "pax record of negative length": lambda layer: layer().pax(b"-5 path=x\n").file("x"),
    "pax record without equals": lambda layer: layer().pax(b"9 path x\n").file("x"),
    "pax record with a huge number": lambda layer: layer().pax({b"size": b"9" * 5000}).file("x"),
    "pax size not a number": lambda layer: layer().pax({b"size": b"many"}).file("x"),
    "pax size negative": lambda layer: layer().pax({b"size": b"-1"}).file("x"),
    "pax size over 2^63": lambda layer: layer().pax({b"size": str(1 << 63).encode()}).file("x"),
    "pax size past the end": lambda layer: layer().pax({b"size": str((1 << 63) - 1).encode()}).file("x"),
    "pax time not a number": lambda layer: layer().pax({b"mtime": b"NaN"}).file("x"),
    "pax uid -1": lambda layer: layer().pax({b"uid": b"-1"}).file("x"),
    "pax uid 2^32-1": lambda layer: layer().pax({b"uid": b"4294967295"}).file("x"),
    "device of a major over 12 bits": lambda layer: layer().node("x", tarfile.CHRTYPE, 4096, 0),
    "device of a minor over 20 bits": lambda layer: layer().node("x", tarfile.BLKTYPE, 0, 1 << 20),
    "xattr name with nul": lambda layer: layer().pax({b"SCHILY.xattr.user.a\0b": b"x"}).file("x"),
    "xattr without name": lambda layer: layer().pax({b"SCHILY.xattr.": b"x"}).file("x"),
    "long name of a gigabyte": lambda layer: layer().add("x", b"L", size=1 << 30),
    "sparse map backwards": lambda layer: layer().pax(_sparse("10,1,5,1", 20)).file("x", b"ab"),
    "sparse map past the end": lambda layer: layer().pax(_sparse("0,5", 2)).file("x", b"abcde"),
    "sparse map with more than is stored": lambda layer: layer().pax(_sparse("0,5,10,5", 20)).file("x", b"ab"),
    "sparse map odd": lambda layer: layer().pax(_sparse("0,5,10", 20)).file("x", b"abcde"),
    "sparse map of many": lambda layer: layer().pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0",
        b"GNU.sparse.realsize": b"9"}).file("x", b"999999999\n".ljust(512, b"\0")),
}  # fmt: skip


def _sparse(pieces, size):
    return {b"GNU.sparse.map": pieces.encode(), b"GNU.sparse.size": str(size).encode()}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(overlay, layer, fill, canary, case):
    with pytest.raises(InvalidParameter) as caught:
        fill(overlay, REFUSED[case](layer), "a")
    assert "Traceback" not in str(caught.value)
    assert list(overlay.keys()) == []
    assert overlay.sweep([]) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"size_field": b"\xff" * 12},
        {"size_field": b"\x80" + b"\xff" * 11},
        {"size_field": b"99999999999\0"},
        {"size_field": b"-0000000001\0"},
        {"uid": b"\xff" * 8},
        {"uid": b"\x80\0\0\0\xff\xff\xff\xff"},
        {"mtime": b"abc".ljust(12)},
        {"mode": b"0o777\0\0\0"},
    ],
)
def test_numbers_that_cannot_be_are_refused(overlay, layer, fill, header_block, fields):
    with pytest.raises(InvalidParameter, match="archive/tar: invalid tar header"):
        fill(overlay, layer().raw(header_block(b"x", **fields)), "a")


def test_a_tar_that_ends_in_the_middle_is_refused(overlay, layer, fill):
    whole = layer().directory("d").file("d/x", b"data" * 1000).file("y", b"z").bytes()
    for size in (700, 1500, 2000, 5000):
        with pytest.raises(InvalidParameter, match="unexpected EOF"):
            fill(overlay, io.BytesIO(whole[:size]), "a")


def test_an_empty_stream_is_an_empty_layer(overlay, fill, seen, chain_id):
    fill(overlay, io.BytesIO(b""), "a")
    assert seen(overlay, chain_id("a")) == {}


def test_overlay_attributes_and_whiteouts_cannot_be_forged(driver, layer, fill, seen, chain_id):
    fill(driver, layer().directory("d").file("d/x").file("gone"), "a")
    forged = {f"SCHILY.xattr.{prefix}.overlay.{name}": "y" for prefix in ("trusted", "user") for name in ("opaque",)}
    forged |= {"SCHILY.xattr.trusted.overlay.redirect": "/", "SCHILY.xattr.user.kept": "1"}
    made = layer().directory("d", pax=forged).file("f", pax=forged).node("gone", tarfile.CHRTYPE, 0, 0)
    fill(driver, made.node("never", tarfile.CHRTYPE, 0, 0), "b", parent="a")
    tree = seen(driver, chain_id("b"))
    # A device 0:0 means the same as a whiteout, for that is what it is to overlayfs.
    assert sorted(tree) == [b"d", b"d/x", b"f"]
    assert tree[b"d"]["xattrs"] == tree[b"f"]["xattrs"] == {"user.kept": b"1"}


def test_file_capabilities_of_all_versions_come_through(driver, layer, fill, seen, chain_id):
    second = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    third = struct.pack("<IIIIII", 0x03000001, 1 << 10, 0, 0, 0, 100000)
    made = layer()
    for name, value in (("v2", second), ("v3", third)):
        made.pax({b"SCHILY.xattr.security.capability": value}).file(name, mode=0o755, uid=5).link(
            f"{name}-link", name, mode=0o755, uid=5
        )
    fill(driver, made, "a")
    tree = seen(driver, chain_id("a"))
    assert tree[b"v2"]["xattrs"] == {"security.capability": second}
    assert tree[b"v3"]["xattrs"] == {"security.capability": third}


def test_setuid_bits_owners_and_times_before_the_epoch_are_kept(driver, layer, fill, seen, chain_id):
    made = layer().file("suid", mode=0o6755, uid=1234, gid=4294967294, mtime=-5).directory("sticky", mode=0o3777)
    fill(driver, made.pax({b"mtime": b"-1.5"}).file("sticky/early"), "a")
    tree = seen(driver, chain_id("a"))
    assert tree[b"suid"]["mode"] == oct(stat.S_IFREG | 0o6755)
    assert tree[b"suid"]["owner"] == (1234, 4294967294)
    assert tree[b"suid"]["mtime"] == -5_000_000_000
    assert tree[b"sticky"]["mode"] == oct(stat.S_IFDIR | 0o3777)
    assert tree[b"sticky/early"]["mtime"] == -1_500_000_000


@pytest.mark.parametrize("seconds", [(1 << 63) - 1, -(1 << 63) + 1, 1 << 40])
def test_times_no_file_system_can_hold_harm_nobody(overlay, layer, fill, seen, chain_id, seconds):
    made = (
        layer().pax({b"mtime": str(seconds).encode()}).file("x").pax({b"mtime": str(seconds).encode()}).directory("d")
    )
    fill(overlay, made, "a")
    assert sorted(seen(overlay, chain_id("a"))) == [b"d", b"x"]


def test_a_link_to_what_was_just_hidden_is_refused(driver, layer, fill):
    fill(driver, layer().file("f", b"data"), "a")
    with pytest.raises(InvalidParameter):
        fill(driver, layer().file(".wh.f").link("g", "f"), "b", parent="a")


def test_devices_and_fifos_are_made_and_stay_devices(driver, layer, fill, seen, chain_id):
    made = layer().node("null", tarfile.CHRTYPE, 1, 3, mode=0o666).node("disk", tarfile.BLKTYPE, 254, 0, mode=0o600)
    fill(driver, made.node("pipe", tarfile.FIFOTYPE).node("other", tarfile.CHRTYPE, 0, 1), "a")
    tree = seen(driver, chain_id("a"))
    assert tree[b"null"]["device"] == os.makedev(1, 3)
    assert tree[b"disk"]["device"] == os.makedev(254, 0)
    assert tree[b"other"]["device"] == os.makedev(0, 1)
    assert stat.S_ISFIFO(int(tree[b"pipe"]["mode"], 8))


def test_the_last_of_several_members_of_one_name_wins(driver, layer, fill, seen, chain_id):
    made = layer().file("x", b"one").file("x", b"two!").directory("d").file("d/y").directory("d", mode=0o700)
    usage = fill(driver, made.symlink("l", "x").file("l", b"three"), "a")
    tree = seen(driver, chain_id("a"))
    assert tree[b"d"]["mode"] == oct(stat.S_IFDIR | 0o700)
    assert sorted(tree) == [b"d", b"d/y", b"l", b"x"]
    assert (usage.bytes, usage.inodes) == (9, 4)


def test_a_file_that_replaced_a_directory_keeps_its_own_time(driver, layer, fill, seen, chain_id):
    made = layer().directory("d", mtime=5).directory("d/e", mtime=6).file("d", mtime=9)
    fill(driver, made.directory("f", mtime=7).symlink("f", "d", mtime=8), "a")
    tree = seen(driver, chain_id("a"))
    assert {path: entry["mtime"] // 10**9 for path, entry in tree.items()} == {b"d": 9, b"f": 8}


def test_the_image_brings_no_code_into_the_worker(driver, layer, fill, canary):
    """CVE-2019-14271: nothing is imported, and no name looked up, from the tree that is being unpacked."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    evil = f"open({str(canary / 'owned')!r}, 'w')".encode()
    made = layer()
    for place in (f"usr/lib/{version}", f"usr/local/lib/{version}", f"usr/lib/{version}/encodings", ".", *sys.path):
        for module in ("sitecustomize.py", "os.py", "codecs.py", "__init__.py", "idna.py", "traceback.py", "pwd.py"):
            made.file(f"{place}/{module}", evil)
    fill(driver, made, "a")
    with pytest.raises(InvalidParameter, match="file name too long"):
        fill(driver, made.file("x" * 300), "b", parent="a")


def test_a_bomb_of_members_costs_no_memory_of_ours(overlay, layer, fill):
    one = layer().file("same", b"").bytes()[:512]
    usage = fill(overlay, io.BytesIO(one * 20_000 + bytes(1024)), "a")
    assert (usage.bytes, usage.inodes) == (0, 1)


def test_the_worker_has_few_rights_and_sees_nothing_but_the_layer(overlay, layer, root):
    """While it waits for the rest of its tar it is looked at from outside."""
    seen = {}

    class Looking(io.BytesIO):
        def read(self, size=-1):
            piece = super().read(size)
            if piece:
                return piece
            (worker,) = _children() - before
            _wait_until_it_waits(worker)
            status = dict(line.split(":\t") for line in Path(f"/proc/{worker}/status").read_text().splitlines())
            seen.update(status, mounts=Path(f"/proc/{worker}/mounts").read_text().count("\n"))
            seen["files"] = sorted(int(fd) for fd in os.listdir(f"/proc/{worker}/fd"))
            return b""

    before = _children()
    with overlay.extract(None) as extraction:
        extraction.apply(Looking(layer().file("x").bytes()))
    few = sum(1 << number for number in (0, 1, 3, 4, 27, 31))
    assert [int(seen[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapInh")] == [few, few, few, 0]
    assert seen["NoNewPrivs"] == "1"
    assert seen["Seccomp"] == "2"
    assert seen["mounts"] == 1
    assert seen["files"] == [0, 1, 2]


def _children():
    """Of the foreman, whose children the workers are."""
    foreman = WORKFORCE._process.pid
    return set(Path(f"/proc/{foreman}/task/{foreman}/children").read_text().split())


def _wait_until_it_waits(pid):
    """Sealed, and asleep in read(2) for more of its tar."""
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        if "Seccomp:\t2" in status and "State:\tS" in status:
            return
        os.sched_yield()
