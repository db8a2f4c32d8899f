"""What GNU tar, bsdtar, Python and dockerd write is read, and what we write they read."""

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from wherry.storage.vfs import Vfs
from wherry.tarlib import tarfile

SPARSE = {
    "old gnu": ["--format=gnu", "--sparse"],
    "pax 0.0": ["--format=posix", "--sparse", "--sparse-version=0.0"],
    "pax 0.1": ["--format=posix", "--sparse", "--sparse-version=0.1"],
    "pax 1.0": ["--format=posix", "--sparse", "--sparse-version=1.0"],
    "not sparse": ["--format=posix"],
}
FORMATS = {
    "gnu": ["tar", "--format=gnu", "-c"],
    "oldgnu": ["tar", "--format=oldgnu", "-c"],
    "posix": ["tar", "--format=posix", "--xattrs", "--xattrs-include=user.*", "-c"],
    "bsdtar pax": ["bsdtar", "--format=pax", "-c"],
    "bsdtar gnutar": ["bsdtar", "--format=gnutar", "-c"],
}


@pytest.fixture
def source(root):
    """A tree with something of everything that any tar can carry."""
    path = root / "source"
    deep = path / ("long-" * 15) / ("name-" * 25) / ("deeper" * 20)
    deep.mkdir(parents=True)
    (deep / ("file" * 40)).write_text("far down")
    (path / os.fsdecode(b"b\xff\x80ytes \xc3\xa9")).write_text("not UTF-8")
    (path / "ünïcode").symlink_to("ziel-" * 30)
    (path / "empty").touch()
    (path / "odd").write_bytes(b"x" * 1025)
    os.chown(path / "odd", 3_000_000, 4_000_000)
    os.link(path / "odd", path / "same")
    (path / "suid").write_text("s")
    (path / "suid").chmod(0o6711)
    os.mkfifo(path / "fifo")
    os.mknod(path / "zero", 0o20640, os.makedev(1, 5))
    (path / "old").write_text("before the epoch")
    for entry in path.rglob("*"):
        os.utime(entry, (-100_000, -100_000) if entry.name == "old" else (1e9, 1e9), follow_symlinks=False)
    return path


@pytest.mark.parametrize("kept", [0, 100], ids=["none of it", "a part of it"])
def test_the_padding_after_the_last_file_may_be_missing(overlay, fill, seen, chain_id, layer, kept):
    whole = layer().file("a", b"hello").file("b", b"world").bytes()
    fill(overlay, io.BytesIO(whole[: 3 * 512 + len(b"world") + kept]), "a")
    assert [name for name, entry in seen(overlay, chain_id("a")).items() if entry] == [b"a", b"b"]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_tree_it_was_made_of(overlay, fill, seen, chain_id, tree_of, source, form):
    command = FORMATS[form]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    made = subprocess.run([*command, "-f", "-", "-C", source, "."], stdout=subprocess.PIPE, check=True)
    usage = fill(overlay, io.BytesIO(made.stdout), "a")
    expected = tree_of(source)
    if form == "bsdtar gnutar":
        expected[b"old"]["mtime"] = 0  # which bsdtar writes there for anything before the epoch
    assert seen(overlay, chain_id("a")) == expected
    assert usage.inodes == len(expected) - 1  # one hard link


def test_extended_attributes_come_through_gnu_tar(overlay, fill, seen, chain_id, root):
    (root / "source").mkdir()
    (root / "source/file").touch()
    os.setxattr(root / "source/file", "user.binary", b"a\0b=\n")
    made = subprocess.run(
        ["tar", "--xattrs", "-c", "-f", "-", "-C", root / "source", "file"], stdout=subprocess.PIPE, check=True
    )
    fill(overlay, io.BytesIO(made.stdout), "a")
    assert seen(overlay, chain_id("a"))[b"file"]["xattrs"] == {"user.binary": b"a\0b=\n"}


@pytest.mark.parametrize("form", SPARSE)
@pytest.mark.parametrize("pieces", [1, 60, 0], ids=["one piece", "60 pieces", "all hole"])
def test_sparse_files_keep_content_and_holes(overlay, fill, seen, chain_id, tree_of, root, form, pieces):
    path = root / "source" / ("sparse" * 20)
    path.parent.mkdir()
    with open(path, "wb") as file:
        for number in range(pieces):
            file.seek(number * 100_000 + 5_000)
            file.write(b"data" * 100)
        file.truncate(20_000_000)
    made = subprocess.run(
        ["tar", *SPARSE[form], "-c", "-f", "-", "-C", path.parent, path.name], stdout=subprocess.PIPE, check=True
    )
    usage = fill(overlay, io.BytesIO(made.stdout), "a")
    found, expected = seen(overlay, chain_id("a")), tree_of(path.parent)
    for tree in (found, expected):
        for entry in tree.values():
            entry["mtime"] //= 1_000_000_000
    assert found == expected
    assert usage.bytes == 20_000_000
    if form != "not sparse":
        with overlay.open(chain_id("a")) as rootfs:
            blocks = os.stat(f"/proc/self/fd/{rootfs.fd}/{path.name}").st_blocks
        assert blocks * 512 < 2_000_000


@pytest.mark.parametrize("reader", ["tar", "bsdtar", "python"])
def test_a_diff_is_read_by_others(overlay, source, tree_of, root, reader):
    if reader != "python" and not shutil.which(reader):
        pytest.skip(f"{reader} is not installed")
    os.setxattr(source / "odd", "user.kept", b"yes")
    overlay.prepare("c", None)
    with overlay.open("c") as rootfs:
        subprocess.run(["cp", "-a", f"{source}/.", f"/proc/self/fd/{rootfs.fd}/"], pass_fds=[rootfs.fd], check=True)
    target = root / "target"
    target.mkdir()
    with overlay.diff("c") as tar:
        text = tar.read()
    if reader == "python":
        with tarfile.open(fileobj=io.BytesIO(text), errors="surrogateescape") as members:
            members.extractall(target, filter="fully_trusted")
    else:
        subprocess.run([reader, "-x", "-p", "--xattrs", "-f", "-", "-C", target], input=text, check=True)
    found, expected = tree_of(target), tree_of(source)
    if reader == "python":
        for tree in (found, expected):
            for entry in tree.values():
                entry["xattrs"] = {}  # the standard library does not restore them,
                entry["mtime"] *= entry["link"] is None  # nor the times of symlinks
    assert found == expected


def test_numbers_beyond_octal_are_written_and_read(overlay, layer, fill, seen, chain_id):
    fill(overlay, layer().file("x", uid=4_000_000_000, gid=3_000_000_000, mtime=1 << 34), "a")
    with overlay.diff(chain_id("a")) as tar:
        text = tar.read()
    with tarfile.open(fileobj=io.BytesIO(text)) as members:
        (member,) = members
        assert (member.uid, member.gid) == (4_000_000_000, 3_000_000_000)
    fill(overlay, io.BytesIO(text), "b")
    assert seen(overlay, chain_id("b")) == seen(overlay, chain_id("a"))


def test_a_real_distribution_unpacks_as_gnu_tar_does(root, tree_of, debian_tar):
    target = root / "gnu"
    target.mkdir()
    subprocess.run(["tar", "-x", "-p", "--numeric-owner", "-f", debian_tar, "-C", target], check=True)
    driver = Vfs(root / "vfs")
    with driver.extract(None) as extraction, open(debian_tar, "rb") as tar:
        extraction.apply(tar)
        extraction.commit("sha256:" + "d" * 64)
    found = tree_of(Path(driver.describe("sha256:" + "d" * 64)["Dir"]))
    expected = tree_of(target)
    assert len(found) == len(expected) > 50
    assert found == expected
