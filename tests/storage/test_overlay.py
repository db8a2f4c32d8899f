"""What is particular to the overlay driver: how layers lie on disk, and kernels that want them in one string."""

import os
import signal
from pathlib import Path

import pytest

from wherry.model.errors import EngineError
from wherry.storage import overlaymount, workforce
from wherry.storage.overlaymount import stacked, why_not


def _fs(overlay, key):
    return Path(overlay.describe(key)["UpperDir"])


def test_hidden_files_are_devices_and_hidden_directories_opaque(overlay, layer, fill, chain_id):
    fill(overlay, layer().file("f").directory("d").file("d/x").directory("e"), "a")
    fill(overlay, layer().file(".wh.f").file(".wh.never").directory("d").file("d/.wh..wh..opq"), "b", parent="a")
    upper = _fs(overlay, chain_id("b"))
    assert sorted(os.listdir(upper)) == ["d", "f"]
    assert (upper / "f").lstat().st_rdev == 0
    assert os.getxattr(upper / "d", "trusted.overlay.opaque") == b"y"


def test_nothing_is_marked_where_there_is_nothing_to_hide(overlay, layer, fill, chain_id):
    made = layer().directory("d").file("d/.wh..wh..opq").file("d/.wh.x").file(".wh.y")
    fill(overlay, made, "a")
    assert os.listdir(_fs(overlay, chain_id("a"))) == ["d"]
    assert os.listxattr(_fs(overlay, chain_id("a")) / "d") == []


def test_description_names_directories_as_dockers_overlay2(overlay, layer, fill, chain_id, root):
    fill(overlay, layer(), "a")
    fill(overlay, layer(), "b", parent="a")
    overlay.prepare("c", chain_id("b"))
    described = overlay.describe("c")
    assert list(described) == ["LowerDir", "MergedDir", "UpperDir", "WorkDir"]
    assert described["LowerDir"].split(":") == [str(_fs(overlay, chain_id(letter))) for letter in "ba"]
    assert described["UpperDir"] == str(root / "snapshots/active/c/fs")
    assert "LowerDir" not in overlay.describe(chain_id("a"))


def test_what_is_fleeting_waits_for_no_disk_and_can_be_opened_again(overlay, layer, fill, chain_id):
    fill(overlay, layer().file("f"), "a")
    overlay.prepare("c", chain_id("a"))
    marker = Path(overlay.describe("c")["WorkDir"]) / "work/incompat/volatile"
    for fleeting in (True, True, False):
        with overlay.open("c", fleeting=fleeting) as root:
            assert marker.exists() is fleeting
            made = os.open("made", os.O_RDWR | os.O_CREAT, dir_fd=root.fd)
            os.fsync(made)
            os.close(made)
    assert (_fs(overlay, "c") / "made").exists()
    overlay.remove("c")
    overlay.purge()
    assert not marker.parent.parent.parent.parent.exists()


def test_status_says_what_docker_info_does(overlay):
    assert [key for key, _ in overlay.status()] == [
        "Backing Filesystem",
        "Supports d_type",
        "Using metacopy",
        "Native Overlay Diff",
        "userxattr",
    ]


@pytest.fixture
def layers(root):
    """130 directories with a file each, under names far too long for one string of options."""
    paths = []
    for number in range(130):
        path = root / ("layer-" * 10) / f"{number:03}"
        path.mkdir(parents=True)
        (path / f"f{number}").touch()
        paths.append(path)
    return paths


@pytest.fixture
def old_kernel(monkeypatch):
    monkeypatch.setattr(overlaymount, "takes_layers_singly", lambda: False)


def test_an_old_kernel_stacks_many_layers_too(layers, old_kernel):
    with stacked(layers) as fd:
        assert len(os.listdir(f"/proc/self/fd/{fd}/")) == 130
        with pytest.raises(OSError, match="Read-only"):
            os.mkdir(f"/proc/self/fd/{fd}/x")


def test_an_old_kernel_writes_to_the_upper_directory(layers, root, old_kernel):
    for name in ("upper", "work"):
        (root / name).mkdir()
    before = Path("/proc/self/mountinfo").read_text()
    with stacked(layers[:3], root / "upper", root / "work") as fd:
        (Path(f"/proc/self/fd/{fd}") / "new").touch()
        assert Path("/proc/self/mountinfo").read_text() == before
    assert os.listdir(root / "upper") == ["new"]


def test_an_old_kernels_refusal_is_told(root, old_kernel):
    with pytest.raises(EngineError, match="no such file"), stacked([root / "nope", root / "neither"]):
        pass


def test_paths_too_long_for_one_option_still_mount(root):
    names = [root / ("x" * 120) / ("y" * 120) / part for part in ("a", "b")]
    for path in names:
        path.mkdir(parents=True)
        (path / path.name).touch()
    with stacked(names) as fd:
        assert sorted(os.listdir(f"/proc/self/fd/{fd}/")) == ["a", "b"]


def test_a_full_disk_is_not_the_layers_fault(overlay, layer, fill, small_disk):
    driver = type(overlay)(small_disk / "snapshots")
    with pytest.raises(EngineError, match=r"^/big: no space left on device$") as caught:
        fill(driver, layer().file("big", bytes(4 << 20)), "a")
    assert caught.value.status == 500
    assert driver.sweep([]) == []


def test_a_worker_that_dies_is_told(overlay, layer, monkeypatch):
    order = workforce.WORKFORCE.order

    def order_and_kill(words, fds):
        pidfd = order(words, fds)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        return pidfd

    monkeypatch.setattr(workforce.WORKFORCE, "order", order_and_kill)
    with pytest.raises(EngineError, match="the storage worker ended"), overlay.extract(None) as extraction:
        extraction.apply(layer().file("x").stream())


def test_a_foreman_that_cannot_work_is_told(overlay, layer, monkeypatch):
    monkeypatch.setattr(workforce, "_BOOT", "import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr(workforce, "WORKFORCE", workforce.Workforce())
    with pytest.raises(EngineError, match="no storage worker can be started"), overlay.extract(None) as extraction:
        extraction.apply(layer().file("x").stream())


def test_a_foreman_that_died_is_replaced(overlay, layer, fill, monkeypatch):
    force = workforce.Workforce()
    monkeypatch.setattr(workforce, "WORKFORCE", force)
    fill(overlay, layer().file("x"), "a")
    force._process.kill()
    fill(overlay, layer().file("x"), "b")
    force.close()


def test_where_overlay_cannot_work_the_kernel_says_why(root):
    assert why_not(root) == ""
    for name in ("lower", "upper", "work"):
        (root / name).mkdir()
    with stacked([root / "lower"], root / "upper", root / "work") as fd:
        assert "overlay" in why_not(Path(f"/proc/self/fd/{fd}"))
    assert sorted(os.listdir(root)) == ["lower", "upper", "work"]
