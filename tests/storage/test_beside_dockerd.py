"""The same layers given to the real dockerd: its overlay2 and ours must show the same tree."""

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from wherry.storage.overlaymount import stacked

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not shutil.which("dockerd"), reason="dockerd is not installed"),
]

START_SECONDS = 60
RECENT_NS = 1_600_000_000_000_000_000  # directories that no tar named have the time of their making


@pytest.fixture(scope="module")
def docker():
    """The docker CLI of a dockerd that touches no network."""
    with tempfile.TemporaryDirectory(prefix="wherry-peer-") as directory:
        place = Path(directory)
        address = f"unix://{place}/docker.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(place / "log", "wb") as log:
            ready.bind(str(place / "ready"))
            ready.settimeout(START_SECONDS)
            command = ["dockerd", "--data-root", place / "data", "--exec-root", place / "exec", "-H", address]
            command += ["--pidfile", place / "pid", "--bridge=none", "--iptables=false", "--storage-driver=overlay2"]
            environment = {**os.environ, "NOTIFY_SOCKET": str(place / "ready")}
            daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                while b"READY=1" not in ready.recv(4096):
                    pass
                yield lambda *words, text=b"": _run(["docker", "-H", address, *words], text)
            finally:
                daemon.terminate()
                daemon.wait()


def _run(command, text):
    done = subprocess.run(command, input=text, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _archive(layers):
    """A `docker save` archive of one image with these layers."""
    out = io.BytesIO()
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers"}}
    config["rootfs"]["diff_ids"] = ["sha256:" + hashlib.sha256(text).hexdigest() for text in layers]
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    files = dict(zip(names, layers, strict=True))
    files["config.json"] = json.dumps(config).encode()
    files["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": ["t:t"], "Layers": names}]).encode()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return out.getvalue()


def _base(layer):
    made = layer().directory("d", mode=0o750, uid=5, mtime=9).file("d/x", b"x").file("f", b"f").directory("d/sub")
    return made.file("d/sub/y").symlink("l", "d").directory("e").file("e/z")


CASES = {
    "names": lambda layer: [layer().file("../../up").file("/abs").file("./a//b/./c").file("p/../q").file(b"\xff\xfe")],
    "attributes": lambda layer: [
        layer().file("suid", mode=0o6755, uid=3, gid=4, mtime=8).directory("sticky", mode=0o1777, mtime=7)
        .node("null", tarfile.CHRTYPE, 1, 3, mode=0o666, mtime=6).node("pipe", tarfile.FIFOTYPE, mtime=5)
        .symlink("s", "/nowhere", uid=7, mtime=4).file("late", mtime=1 << 33)
    ],
    "root entry": lambda layer: [layer().directory("./", mode=0o700, uid=9).file("./x")],
    "hard links": lambda layer: [
        layer().file("a", b"a", uid=2, mtime=3).link("b", "a", uid=2, mtime=3).symlink("s", "a").link("t", "s")
        .link("c", "/a", uid=2, mtime=3).link("e", "../a", uid=2, mtime=3)
    ],
    "through symlinks": lambda layer: [
        layer().directory("real").symlink("rel", "real").symlink("abs", "/real").symlink("up", "../../real")
        .file("rel/1").file("abs/2").file("up/3")
    ],
    "capabilities": lambda layer: [
        layer().pax({b"SCHILY.xattr.security.capability": bytes.fromhex("0100000200040000" + "00" * 12)})
        .file("ping", mode=0o755).pax({b"SCHILY.xattr.user.note": b"n"}).directory("noted")
    ],
    "whiteouts": lambda layer: [_base(layer), layer().file(".wh.f").file(".wh.e").directory("d").file("d/.wh.x")],
    "opaque": lambda layer: [_base(layer), layer().directory("d").file("d/.wh..wh..opq").file("d/new")],
    "replaced": lambda layer: [_base(layer), layer().file("d", b"now a file").directory("f").file("f/in").file("l")],
    "merged": lambda layer: [_base(layer), layer().directory("d", mode=0o700, mtime=11).file("d/x", b"other")],
    "aufs metadata": lambda layer: [
        _base(layer), layer().directory(".wh..wh.plnk").file(".wh..wh.plnk/1.2").file(".wh..wh.aufs")
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_same_tree_as_dockerds(docker, layer, overlay, fill, seen, chain_id, tree_of, case):
    layers = CASES[case](layer)
    docker("load", text=_archive([made.bytes() for made in layers]))
    data = json.loads(docker("image", "inspect", "-f", "{{json .GraphDriver.Data}}", "t:t"))
    paths = [data["UpperDir"], *filter(None, data.get("LowerDir", "").split(":"))]
    with stacked([Path(path) for path in paths]) as fd:
        theirs = tree_of(f"/proc/self/fd/{fd}/.")
        their_root = os.stat(f"/proc/self/fd/{fd}/.")
    for letter, below, made in zip("ab", (None, "a"), layers, strict=False):
        fill(overlay, made, letter, parent=below)
    top = chain_id("ab"[len(layers) - 1])
    ours = seen(overlay, top)
    with overlay.open(top) as rootfs:
        our_root = os.stat(f"/proc/self/fd/{rootfs.fd}/.")
    for tree in (ours, theirs):
        for entry in tree.values():
            entry["mtime"] = min(entry["mtime"], RECENT_NS)
    assert ours == theirs
    assert (our_root.st_mode, our_root.st_uid) == (their_root.st_mode, their_root.st_uid)
