"""The conformance suite of storage drivers: every driver must pass all of it."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from wherry.linux.mount import MNT_DETACH, move_mount, umount2
from wherry.model.errors import Conflict, InvalidParameter, NotFound
from wherry.oci.digest import digest_of
from wherry.storage.overlay import Overlay
from wherry.storage.vfs import Vfs


class SnapshotSuite:
    """What storage.driver.StorageDriver promises. A driver's class overrides `new`."""

    def new(self, path):
        raise NotImplementedError

    @pytest.fixture
    def driver(self, root):
        return self.new(root / "snapshots")

    # Layers

    def test_a_committed_layer_shows_what_its_tar_held(self, driver, layer, fill, seen, chain_id):
        usage = fill(driver, layer().directory("etc", mode=0o750, uid=3, gid=4, mtime=7).file("etc/x", b"data"), "a")
        tree = seen(driver, chain_id("a"))
        assert tree[b"etc"]["mode"] == oct(stat.S_IFDIR | 0o750)
        assert tree[b"etc"]["owner"] == (3, 4)
        assert tree[b"etc"]["mtime"] == 7_000_000_000
        assert (usage.bytes, usage.inodes) == (4, 2)
        assert driver.usage(chain_id("a")) == usage

    def test_a_layer_stands_on_its_parent(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().directory("d").file("d/kept").file("d/changed", b"old"), "a")
        fill(driver, layer().directory("d").file("d/changed", b"new!").file("d/added"), "b", parent="a")
        tree = seen(driver, chain_id("b"))
        assert sorted(tree) == [b"d", b"d/added", b"d/changed", b"d/kept"]
        assert tree[b"d/changed"]["data"] != seen(driver, chain_id("a"))[b"d/changed"]["data"]

    def test_a_whiteout_hides_a_file_and_a_directory(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().file("f").directory("d").file("d/x").file("kept"), "a")
        fill(driver, layer().file(".wh.f").file(".wh.d").file(".wh.never-there"), "b", parent="a")
        assert sorted(seen(driver, chain_id("b"))) == [b"kept"]

    def test_an_opaque_directory_hides_all_below_it_wherever_the_mark_stands(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().directory("d").file("d/old").directory("d/sub").file("d/sub/old"), "a")
        mark = "d/.wh..wh..opq"
        fill(driver, layer().directory("d").file(mark).file("d/new").directory("d/sub"), "b", parent="a")
        fill(driver, layer().directory("d").file("d/new").directory("d/sub").file(mark), "c", parent="a")
        expected = [b"d", b"d/new", b"d/sub"]
        assert sorted(seen(driver, chain_id("b"))) == expected
        assert sorted(seen(driver, chain_id("c"))) == expected

    def test_an_opaque_root_hides_everything(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().file("f").directory("d").file("d/old"), "a")
        fill(driver, layer().directory("d").file("d/new").file(".wh..wh..opq").file("g"), "b", parent="a")
        assert sorted(seen(driver, chain_id("b"))) == [b"d", b"d/new", b"g"]

    def test_a_whiteout_never_hides_what_its_own_layer_brings(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().directory("d").file("d/old").file("f", b"old"), "a")
        fill(
            driver, layer().directory("d").file("d/new").file(".wh.d").file("f", b"new!").file(".wh.f"), "b", parent="a"
        )
        fill(
            driver, layer().file(".wh.d").directory("d").file("d/new").file(".wh.f").file("f", b"new!"), "c", parent="a"
        )
        for letter in "bc":
            tree = seen(driver, chain_id(letter))
            assert sorted(tree) == [b"d", b"d/new", b"f"]
            assert tree[b"f"]["data"] != seen(driver, chain_id("a"))[b"f"]["data"]

    def test_files_and_directories_replace_each_other(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().directory("d").file("d/x").file("f").symlink("l", "/d"), "a")
        fill(driver, layer().file("d").directory("f").directory("l").file("l/y"), "b", parent="a")
        assert sorted(seen(driver, chain_id("b"))) == [b"d", b"f", b"l", b"l/y"]

    def test_a_directory_that_came_and_went_in_one_layer_shows_nothing_of_its_parent(
        self, driver, layer, fill, seen, chain_id
    ):
        fill(driver, layer().directory("d").file("d/old"), "a")
        fill(driver, layer().file("d").directory("d").file("d/new"), "b", parent="a")
        assert sorted(seen(driver, chain_id("b"))) == [b"d", b"d/new"]

    def test_parents_that_a_tar_leaves_out_keep_what_they_are(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().directory("d", mode=0o700, uid=5, mtime=3).directory("d/e", mode=0o711), "a")
        fill(driver, layer().file("d/e/f").file("new/dir/f"), "b", parent="a")
        tree = seen(driver, chain_id("b"))
        assert tree[b"d"] | {"same as": 0} == seen(driver, chain_id("a"))[b"d"] | {"same as": 0}
        assert tree[b"d/e"]["mode"] == oct(stat.S_IFDIR | 0o711)
        assert tree[b"new/dir"]["mode"] == oct(stat.S_IFDIR | 0o755)

    def test_members_go_through_symlinks_of_the_layers_below(self, driver, layer, fill, seen, chain_id):
        fill(
            driver, layer().directory("usr").directory("usr/lib").symlink("lib", "usr/lib").symlink("abs", "/usr"), "a"
        )
        fill(driver, layer().file("lib/x").file("abs/lib/y").file("usr/lib/.wh.z"), "b", parent="a")
        tree = seen(driver, chain_id("b"))
        assert b"usr/lib/x" in tree
        assert b"usr/lib/y" in tree
        assert tree[b"lib"]["link"] == b"usr/lib"

    def test_hard_links_reach_into_the_layers_below(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().directory("d").file("d/f", b"data", mode=0o640, uid=9), "a")
        fill(driver, layer().link("g", "d/f", mode=0o640, uid=9), "b", parent="a")
        tree = seen(driver, chain_id("b"))
        assert tree[b"g"]["same as"] == tree[b"d/f"]["same as"]
        assert tree[b"g"]["owner"] == (9, 0)

    def test_an_extraction_that_is_not_committed_leaves_nothing(self, driver, layer, root, chain_id):
        with driver.extract(None) as extraction:
            extraction.apply(layer().file("x").stream())
        assert list(driver.keys()) == []
        with pytest.raises(InvalidParameter), driver.extract(None) as extraction:
            extraction.apply(io.BytesIO(b"x" * 2048))
        assert driver.sweep([]) == []

    def test_errors_of_whoever_feeds_the_tar_come_through(self, driver):
        class Broken(io.BytesIO):
            def read(self, _=-1):
                raise ConnectionError("the line went dead")

        with pytest.raises(ConnectionError, match="went dead"), driver.extract(None) as extraction:
            extraction.apply(Broken())
        assert list(driver.keys()) == []

    def test_a_chain_id_is_committed_once(self, driver, layer, fill):
        fill(driver, layer(), "a")
        with pytest.raises(Conflict):
            fill(driver, layer(), "a")

    def test_parents_must_exist_and_be_committed(self, driver, layer, fill, chain_id):
        for make in (driver.extract, lambda parent: driver.prepare("x", parent)):
            with pytest.raises(NotFound):
                make(chain_id("9")).__enter__()
        driver.prepare("active", None)
        with pytest.raises(InvalidParameter):
            driver.prepare("x", "active")

    @pytest.mark.parametrize("key", ["", "../x", "a/b", ".", "sha256-abc", "x" * 300, "a\0b"])
    def test_a_key_is_never_a_path(self, driver, key):
        with pytest.raises(InvalidParameter):
            driver.prepare(key, None)

    # Active snapshots

    def test_an_active_snapshot_is_written_and_its_parent_is_not(self, driver, layer, fill, seen, chain_id):
        fill(driver, layer().file("f", b"old").directory("d", mode=0o1777), "a")
        before = seen(driver, chain_id("a"))
        driver.prepare("c", chain_id("a"))
        with driver.open("c") as rootfs:
            inside = f"/proc/self/fd/{rootfs.fd}"
            Path(inside, "f").write_bytes(b"new!")
            Path(inside, "d/x").touch()
        assert sorted(seen(driver, "c")) == [b"d", b"d/x", b"f"]
        assert seen(driver, chain_id("a")) == before
        assert driver.usage("c").bytes == 4

    def test_the_root_directory_looks_like_the_parents(self, driver, layer, fill, chain_id):
        fill(driver, layer().file("f"), "a")
        with driver.open(chain_id("a")) as rootfs:
            expected = os.stat(f"/proc/self/fd/{rootfs.fd}/.")
        driver.prepare("c", chain_id("a"))
        with driver.open("c") as rootfs:
            status = os.stat(f"/proc/self/fd/{rootfs.fd}/.")
        assert (status.st_mode, status.st_uid) == (expected.st_mode, expected.st_uid)
        assert stat.S_IMODE(status.st_mode) == 0o755

    def test_the_daemons_umask_does_not_show_inside(self, driver, layer, fill, seen, chain_id):
        old = os.umask(0o077)
        try:
            fill(driver, layer().file("d/f", mode=0o644), "a")
            driver.prepare("c", chain_id("a"))
        finally:
            os.umask(old)
        assert [entry["mode"] for entry in seen(driver, "c").values()] == ["0o40755", "0o100644"]
        with driver.open("c") as rootfs:
            assert stat.S_IMODE(os.stat(f"/proc/self/fd/{rootfs.fd}/.").st_mode) == 0o755

    def test_read_only_is_read_only(self, driver, layer, fill, chain_id):
        fill(driver, layer().file("f"), "a")
        driver.prepare("c", chain_id("a"))
        for key in (chain_id("a"), "c"):
            with driver.open(key, read_only=True) as rootfs, pytest.raises(OSError, match="Read-only"):
                os.mkdir(f"/proc/self/fd/{rootfs.fd}/x")

    def test_an_open_snapshot_stands_in_no_mount_table(self, driver, layer, fill, chain_id, root):
        fill(driver, layer(), "a")
        driver.prepare("c", chain_id("a"))
        before = Path("/proc/self/mountinfo").read_text()
        with driver.open("c"):
            assert Path("/proc/self/mountinfo").read_text() == before

    def test_a_mount_moved_away_outlives_the_context(self, driver, layer, fill, chain_id, root):
        fill(driver, layer().file("f", b"data"), "a")
        driver.prepare("c", chain_id("a"))
        target = root / "target"
        target.mkdir()
        with driver.open("c") as rootfs:
            move_mount(rootfs.fd, str(target))
        try:
            assert (target / "f").read_bytes() == b"data"
            (target / "g").write_text("still writable")
        finally:
            umount2(str(target), MNT_DETACH)

    def test_a_snapshot_without_parent_is_an_empty_tree(self, driver, seen):
        driver.prepare("c", None)
        with driver.open("c") as rootfs:
            Path(f"/proc/self/fd/{rootfs.fd}/x").touch()
        assert list(seen(driver, "c")) == [b"x"]
        assert list(driver.changes("c")) == [("A", "/x")]

    def test_130_layers_can_be_stacked(self, driver, layer, fill, seen, chain_id):
        parent = None
        for number in range(130):
            with driver.extract(parent) as extraction:
                # Committed untouched but for every tenth: a worker each would only cost time here.
                if number % 10 == 0:
                    extraction.apply(layer().file(f"f{number}").stream())
                parent = f"sha256:{number:064x}"
                extraction.commit(parent)
        driver.prepare("c", parent)
        assert len(seen(driver, "c")) == 13

    # Changes

    def change(self, driver, chain_id):
        """Some of everything that can happen to a tree."""
        driver.prepare("c", chain_id("a"))
        with driver.open("c") as rootfs:
            inside = Path(f"/proc/self/fd/{rootfs.fd}")
            (inside / "etc/changed").write_text("other")
            (inside / "etc/gone").unlink()
            (inside / "added").mkdir(mode=0o711)
            (inside / "added/file").write_text("new")
            os.link(inside / "added/file", inside / "added/link")
            (inside / "added/symlink").symlink_to("/etc/changed")
            for name in ("x", "sub/y"):
                (inside / "emptied" / name).unlink()
            (inside / "emptied/sub").rmdir()
            (inside / "emptied").rmdir()
            (inside / "emptied").mkdir()
            (inside / "emptied/new").touch()
            (inside / "deep/er/file").chmod(0o600)

    def base(self, layer):
        names = ("etc", "emptied", "emptied/sub", "deep", "deep/er", "untouched")
        made = layer()
        for name in names:
            made.directory(name)
        for name in ("etc/changed", "etc/gone", "emptied/x", "emptied/sub/y", "deep/er/file", "deep/er/other"):
            made.file(name, b"old")
        return made

    def test_changes_are_told_as_docker_diff_does(self, driver, layer, fill, chain_id):
        fill(driver, self.base(layer), "a")
        self.change(driver, chain_id)
        assert list(driver.changes("c")) == [
            ("A", "/added"),
            ("A", "/added/file"),
            ("A", "/added/link"),
            ("A", "/added/symlink"),
            ("C", "/deep"),
            ("C", "/deep/er"),
            ("C", "/deep/er/file"),
            ("C", "/emptied"),
            ("A", "/emptied/new"),
            ("D", "/emptied/sub"),
            ("D", "/emptied/x"),
            ("C", "/etc"),
            ("C", "/etc/changed"),
            ("D", "/etc/gone"),
        ]

    def test_a_diff_applied_again_gives_the_same_tree(self, driver, layer, fill, seen, chain_id):
        fill(driver, self.base(layer), "a")
        self.change(driver, chain_id)
        with driver.diff("c") as tar:
            text = tar.read()
        fill(driver, io.BytesIO(text), "b", parent="a")
        first, second = seen(driver, "c"), seen(driver, chain_id("b"))
        for tree in (first, second):
            for entry in tree.values():
                entry["mtime"] //= 1_000_000_000  # a diff has whole seconds, as dockerd's
        assert second == first

    def test_a_diff_is_the_same_bytes_every_time_and_python_reads_it(self, driver, layer, fill, chain_id):
        fill(driver, self.base(layer), "a")
        self.change(driver, chain_id)
        with driver.diff("c") as tar:
            first = tar.read()
        with driver.diff("c") as tar, tarfile.open(fileobj=tar, mode="r|") as members:
            names = [member.name for member in members]
        with driver.diff("c") as tar:
            assert tar.read() == first
        assert "added/link" in names
        assert "etc/.wh.gone" in names

    def test_a_diff_left_in_the_middle_hurts_nobody(self, driver, layer, fill, chain_id):
        fill(driver, layer().file("big", bytes(8 << 20)), "a")
        with driver.diff(chain_id("a")) as tar:
            assert len(tar.read(1000)) == 1000

    def test_a_snapshot_in_which_nothing_happened_has_no_changes(self, driver, layer, fill, chain_id):
        fill(driver, self.base(layer), "a")
        driver.prepare("c", chain_id("a"))
        assert list(driver.changes("c")) == []
        with driver.diff("c") as tar:
            assert tar.read() == bytes(1024)

    # Captures

    def test_a_capture_is_the_very_layer_that_the_diff_of_it_gives(self, driver, layer, fill, seen, chain_id):
        fill(driver, self.base(layer), "a")
        self.change(driver, chain_id)
        with driver.capture("c", chain_id("a")) as captured:
            usage = captured.commit(chain_id("b"))
        with driver.diff(chain_id("b")) as tar:
            text = tar.read()
        assert (captured.diff_id, captured.tar_bytes) == (digest_of(text), len(text))
        assert usage == driver.usage(chain_id("b")) == driver.usage("c")
        assert seen(driver, chain_id("b")) == seen(driver, "c")
        assert sorted(driver.changes(chain_id("b"))) == sorted(driver.changes("c"))

    def test_a_capture_goes_its_own_way(self, driver, layer, fill, seen, chain_id):
        fill(driver, self.base(layer), "a")
        self.change(driver, chain_id)
        before = seen(driver, "c")
        with driver.capture("c", chain_id("a")) as captured:
            with driver.open("c") as rootfs:
                Path(f"/proc/self/fd/{rootfs.fd}/added/file").write_text("after the capture")
            captured.commit(chain_id("b"))
        driver.remove("c")
        assert seen(driver, chain_id("b")) == before

    def test_a_capture_that_is_given_up_leaves_nothing(self, driver, layer, fill, chain_id):
        fill(driver, self.base(layer), "a")
        self.change(driver, chain_id)
        with driver.capture("c", chain_id("a")):
            pass
        assert sorted(driver.keys()) == sorted(["c", chain_id("a")])
        assert driver.sweep(["c"]) == []

    def test_a_capture_is_refused_where_a_layer_is_already_or_its_parent_is_not(self, driver, layer, fill, chain_id):
        fill(driver, self.base(layer), "a")
        self.change(driver, chain_id)
        with driver.capture("c", chain_id("a")) as captured, pytest.raises(Conflict):
            captured.commit(chain_id("a"))
        for key, parent in (("c", chain_id("9")), ("nobody", chain_id("a"))):
            with pytest.raises(NotFound):
                driver.capture(key, parent).__enter__()
        assert sorted(driver.keys()) == sorted(["c", chain_id("a")])

    # Keeping house

    def test_what_others_stand_on_is_not_removed(self, driver, layer, fill, chain_id):
        fill(driver, layer(), "a")
        driver.prepare("c", chain_id("a"))
        with pytest.raises(Conflict):
            driver.remove(chain_id("a"))
        driver.remove("c")
        driver.remove(chain_id("a"))
        driver.purge()
        assert list(driver.keys()) == []
        assert not driver.exists("c")
        with pytest.raises(NotFound):
            driver.remove("c")

    def test_an_unused_init_layer_goes_with_its_parent(self, driver, layer, fill, chain_id):
        fill(driver, layer(), "a")
        with driver.extract(chain_id("a")) as extraction:
            extraction.commit(chain_id("a") + "-init")
        driver.remove(chain_id("a"))
        assert list(driver.keys()) == []

    def test_snapshots_are_found_again_by_the_next_daemon(self, driver, layer, fill, chain_id, root, seen):
        fill(driver, layer().file("f"), "a")
        fill(driver, layer().file("g"), "b", parent="a")
        driver.prepare("c", chain_id("b"))
        again = self.new(root / "snapshots")
        assert sorted(again.keys()) == sorted(["c", chain_id("a"), chain_id("b")])
        assert sorted(seen(again, "c")) == [b"f", b"g"]
        with pytest.raises(Conflict):
            again.remove(chain_id("b"))

    def test_a_sweep_keeps_what_is_wanted_and_all_below(self, driver, layer, fill, chain_id):
        fill(driver, layer(), "a")
        fill(driver, layer(), "b", parent="a")
        fill(driver, layer(), "c", parent="a")
        driver.prepare("wanted", chain_id("b"))
        driver.prepare("orphan", chain_id("c"))
        assert driver.sweep(["wanted"]) == ["orphan", chain_id("c")]
        assert sorted(driver.keys()) == [chain_id("a"), chain_id("b"), "wanted"]

    def test_a_sweep_removes_what_a_crash_left(self, driver, root):
        for place in ("new/0123", "trash/4567"):
            (root / "snapshots" / place / "fs/dir").mkdir(parents=True)
        assert driver.sweep([]) == ["0123"]
        assert not list((root / "snapshots/new").iterdir())
        assert not list((root / "snapshots/trash").iterdir())

    def test_nobody_else_on_the_host_gets_in(self, driver, layer, fill, chain_id, root):
        fill(driver, layer().file("suid", mode=0o4755), "a")
        driver.prepare("c", chain_id("a"))
        for path in (root / "snapshots", *(root / "snapshots").iterdir()):
            assert stat.S_IMODE(path.stat().st_mode) == 0o710

    def test_status_and_description_are_words(self, driver, layer, fill, chain_id):
        fill(driver, layer(), "a")
        driver.prepare("c", chain_id("a"))
        assert driver.status()[0][0] == "Backing Filesystem"
        assert all(Path(path.partition(":")[0]).is_absolute() for path in driver.describe("c").values())
        for ask in (driver.describe, driver.usage, driver.changes):
            with pytest.raises(NotFound):
                ask("nobody")


class TestOverlay(SnapshotSuite):
    def new(self, path):
        return Overlay(path)


class TestVfs(SnapshotSuite):
    def new(self, path):
        return Vfs(path)
