"""Docker's init layer, on honest and on hostile images."""

import os
import stat

from wherry.storage.initlayer import ensure_init_layer

MADE = [b".dockerenv", b"dev", b"dev/console", b"dev/pts", b"dev/shm", b"etc", b"etc/hostname", b"etc/hosts"]
MADE += [b"etc/mtab", b"etc/resolv.conf", b"proc", b"sys"]


def test_an_empty_image_gets_all_mount_points(driver, layer, fill, seen, chain_id):
    fill(driver, layer(), "a")
    key = ensure_init_layer(driver, chain_id("a"))
    assert key == chain_id("a") + "-init"
    tree = seen(driver, key)
    assert sorted(tree) == MADE
    assert tree[b"etc/mtab"]["link"] == b"/proc/mounts"
    assert tree[b"etc/hosts"]["mode"] == oct(stat.S_IFREG | 0o755)


def test_an_image_without_layers_has_one_too(driver, seen):
    key = ensure_init_layer(driver, None)
    assert sorted(seen(driver, key)) == MADE
    assert ensure_init_layer(driver, "") == key


def test_making_it_again_changes_nothing(driver, layer, fill, seen, chain_id):
    fill(driver, layer(), "a")
    key = ensure_init_layer(driver, chain_id("a"))
    before = seen(driver, key)
    assert ensure_init_layer(driver, chain_id("a")) == key
    assert seen(driver, key) == before


def test_directories_stay_as_they_are_and_files_are_emptied(driver, layer, fill, seen, chain_id):
    made = layer().directory("dev", mode=0o700, uid=7).directory("etc").directory("etc/mtab")
    fill(driver, made.file("etc/hosts", b"127.0.0.1 old").file("etc/passwd", b"root:x:0:0").directory("proc/x"), "a")
    tree = seen(driver, ensure_init_layer(driver, chain_id("a")))
    assert tree[b"dev"]["owner"] == (7, 0)
    assert tree[b"dev"]["mode"] == oct(stat.S_IFDIR | 0o700)
    assert tree[b"etc/mtab"]["mode"] == oct(stat.S_IFDIR | 0o755)
    assert tree[b"etc/hosts"]["data"] == tree[b".dockerenv"]["data"]
    assert b"etc/passwd" in tree
    assert b"proc/x" in tree


def test_symlinks_in_the_way_are_replaced_and_never_followed(driver, layer, fill, seen, chain_id, root):
    canary = root / "canary"
    canary.mkdir()
    before = os.stat(canary)
    made = layer().symlink("dev", str(canary)).symlink("proc", "/").directory("etc").symlink("etc/hosts", "../outside")
    fill(driver, made.symlink("sys", "../../..").file("outside", b"kept"), "a")
    tree = seen(driver, ensure_init_layer(driver, chain_id("a")))
    assert {path: stat.S_ISDIR(int(tree[path]["mode"], 8)) for path in (b"dev", b"proc", b"sys")} == {
        b"dev": True,
        b"proc": True,
        b"sys": True,
    }
    assert tree[b"etc/hosts"]["link"] is None
    assert b"outside" in tree
    assert os.listdir(canary) == []
    assert os.stat(canary).st_mtime_ns == before.st_mtime_ns
