"""Tars made to harm, taken in by load, import and pull: nothing outside changes, and all agree with dockerd."""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import re
import struct
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from wherry.storage.overlaymount import stacked

RECORDED = Path(__file__).with_name("docker_tars.json")
RECENT_NS = 1_600_000_000_000_000_000  # what no tar named has the time of its making
UNREADABLE = "unreadable"
WORDS_MAX = 200
MEMORY_KB_MAX = 64 << 10
MEDIA = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_MEDIA = "application/vnd.docker.container.image.v1+json"
LAYER_MEDIA = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def up(path):
    return "../" * 20 + str(path)[1:]


def capability(version):
    return struct.pack("<IIIII", version << 24 | 1, 1 << 10, 0, 0, 0) + (b"" if version == 2 else bytes(4))


def xattr(name, value=b"y"):
    return {b"SCHILY.xattr." + name: value}


def sparse(pieces, size):
    blocks = b"%d" % (pieces.count(b",") // 2 + 1)
    return {b"GNU.sparse.size": b"%d" % size, b"GNU.sparse.numblocks": blocks, b"GNU.sparse.map": pieces}


# Each entry makes the layers of an image from a maker of layers `L` and the canary's path `C`.
CORPUS = {
    "dot dot": lambda L, C: [L().file("../../x", b"1").file("a/../../y", b"2")],
    "dot dot to the canary": lambda L, C: [L().file(up(C) + "/secret", b"mine")],
    "absolute": lambda L, C: [L().file("/x", b"1").file(f"{C}/secret", b"mine")],
    "slashes and dots": lambda L, C: [L().file("//./a//./x/.", b"1")],
    "symlink to the root, then through it": lambda L, C: [L().symlink("a", "/").file(f"a{C}/secret", b"mine")],
    "symlink to the canary, then through it": lambda L, C: [L().symlink("a", str(C)).file("a/secret", b"mine")],
    "relative symlink, then through it": lambda L, C: [L().symlink("a", up(C)).file("a/secret", b"mine")],
    "chain of symlinks": lambda L, C: [
        L().symlink("a", "b").symlink("b", "c/d").directory("c").symlink("c/d", "..").symlink("e", str(C))
        .file("a/e/secret", b"mine")
    ],
    "symlink in a layer below": lambda L, C: [L().symlink("a", str(C)), L().file("a/secret", b"mine")],
    "symlink loop": lambda L, C: [L().symlink("a", "b").symlink("b", "a").file("a/x")],
    "hard link to the host": lambda L, C: [L().link("a", "/etc/shadow")],
    "hard link to the canary": lambda L, C: [L().link("a", str(C / "secret"), mode=0o4777)],
    "hard link up": lambda L, C: [L().link("a", up(C) + "/secret", mode=0o777)],
    "hard link through a symlink": lambda L, C: [L().symlink("s", str(C)).link("a", "s/secret", mode=0o4777)],
    "hard link to a symlink": lambda L, C: [
        L().symlink("s", str(C / "secret")).link("a", "s", mode=0o4777, uid=99).file("a", b"mine")
    ],
    "hard link to nothing": lambda L, C: [L().link("a", "missing")],
    "hard link to itself": lambda L, C: [L().link("a", "a")],
    "hard link to a directory": lambda L, C: [L().directory("d").link("a", "d")],
    "hard link to what was hidden": lambda L, C: [L().file("f"), L().file(".wh.f").link("g", "f")],
    "nodes": lambda L, C: [
        L().node("c", tarfile.CHRTYPE, 1, 3, mode=0o666, mtime=1).node("b", tarfile.BLKTYPE, 254, 0, mtime=1)
        .node("p", tarfile.FIFOTYPE, mtime=1)
    ],
    "fifo over a symlink": lambda L, C: [L().symlink("a", str(C / "secret")).node("a", tarfile.FIFOTYPE, mtime=1)],
    "directory over a symlink": lambda L, C: [
        L().symlink("a", str(C)).directory("a", mode=0o777, mtime=1).file("a/secret", b"mine")
    ],
    "directory over a symlink below": lambda L, C: [
        L().symlink("a", str(C)), L().directory("a", mode=0o777, mtime=1).file("a/secret", b"mine")
    ],
    "file over a directory": lambda L, C: [L().directory("d").file("d/x").file("d", b"now a file", mtime=1)],
    "file over a directory below": lambda L, C: [L().directory("d").file("d/x"), L().file("d", b"file", mtime=1)],
    "file as a directory": lambda L, C: [L().file("f").file("f/x")],
    "parent replaced by a symlink": lambda L, C: [
        L().directory("a").file("a/x").symlink("a", str(C)).file("a/secret", b"mine")
    ],
    "whiteout through a symlink": lambda L, C: [
        L().symlink("a", str(C)), L().file("a/.wh.secret").file("a/.wh.directory")
    ],
    "whiteout up": lambda L, C: [L().file(up(C) + "/.wh.secret")],
    "opaque through a symlink": lambda L, C: [L().symlink("a", str(C)), L().file("a/.wh..wh..opq")],
    "opaque root": lambda L, C: [L().file("f").directory("d"), L().file(".wh..wh..opq").file("g", mtime=1)],
    "opaque": lambda L, C: [
        L().directory("d", mtime=1).file("d/x"), L().directory("d", mtime=1).file("d/.wh..wh..opq").file("d/y", mtime=1)
    ],
    "whiteout of dot": lambda L, C: [L().directory("d", mtime=1).file("d/x"), L().file("d/.wh..")],
    "whiteout of dot dot": lambda L, C: [L().directory("d", mtime=1).file("d/x"), L().file("d/.wh...")],
    "whiteout of nothing": lambda L, C: [L().directory("d", mtime=1).file("d/x"), L().file("d/.wh.")],
    "whiteout of a whiteout": lambda L, C: [L().file("f", mtime=1), L().file(".wh..wh.f").file(".wh..wh..x")],
    "whiteout of what is not there": lambda L, C: [L().file("f", mtime=1), L().file(".wh.g")],
    "metadata of aufs": lambda L, C: [
        L().directory(".wh..wh.plnk").file(".wh..wh.plnk/1.2", b"data").file(".wh..wh.aufs").file("f", mtime=1)
    ],
    "nul in a name": lambda L, C: [L().pax({b"path": b"a\0b"}).file("x")],
    "newline in a name": lambda L, C: [L().file("a\nb", mtime=1)],
    "not utf-8": lambda L, C: [L().file(b"\xff\xfe", mtime=1).symlink("l", b"\xfe".decode("latin-1"), mtime=1)],
    "name of 255 bytes": lambda L, C: [L().file("n" * 255, mtime=1)],
    "name of 256 bytes": lambda L, C: [L().file("n" * 256, mtime=1)],
    "path of 5000 directories": lambda L, C: [L().file("d/" * 5000 + "x")],
    "path in a pax header": lambda L, C: [L().pax({b"path": up(C).encode() + b"/secret"}).file("harmless", b"mine")],
    "link path in a pax header": lambda L, C: [L().pax({b"linkpath": str(C / "secret").encode()}).link("a", "b")],
    "size in a pax header": lambda L, C: [L().pax({b"size": b"4"}).add("x", data=b"data", size=0, mtime=1)],
    "size over 2^63 in a pax header": lambda L, C: [L().pax({b"size": str(1 << 63).encode()}).file("x")],
    "size past the end": lambda L, C: [L().pax({b"size": str((1 << 63) - 1).encode()}).file("x")],
    "negative size": lambda L, C: [L().pax({b"size": b"-1"}).file("x")],
    "sparse": lambda L, C: [L().pax(sparse(b"0,2,100000,2", 200000)).file("x", b"abcd", mtime=1)],
    "sparse backwards": lambda L, C: [L().pax(sparse(b"10,1,5,1", 20)).file("x", b"ab")],
    "times before 1970": lambda L, C: [L().pax({b"mtime": b"-1.5"}).file("x").file("y", mtime=-5)],
    "a time that is none": lambda L, C: [L().pax({b"mtime": b"NaN"}).file("x")],
    "one name twice": lambda L, C: [L().file("x", b"one").file("x", b"two!", mtime=1)],
    "user -1": lambda L, C: [L().pax({b"uid": b"-1"}).file("x")],
    "user 2^32-1": lambda L, C: [L().pax({b"uid": b"4294967295"}).file("x")],
    "setuid": lambda L, C: [L().file("x", mode=0o6755, uid=1234, gid=5, mtime=1)],
    "overlay's redirect": lambda L, C: [
        L().file("f"), L().pax(xattr(b"trusted.overlay.redirect", str(C).encode())).directory("d", mtime=1)
    ],
    "overlay's opaque": lambda L, C: [
        L().directory("d").file("d/x", mtime=1), L().pax(xattr(b"trusted.overlay.opaque")).directory("d", mtime=1)
    ],
    "overlay's opaque for users": lambda L, C: [
        L().directory("d").file("d/x", mtime=1), L().pax(xattr(b"user.overlay.opaque")).directory("d", mtime=1)
    ],
    "forged whiteout": lambda L, C: [
        L().file("f", mtime=1).file("g", mtime=1), L().node("f", tarfile.CHRTYPE, 0, 0, mtime=1)
    ],
    "capabilities": lambda L, C: [
        L().pax(xattr(b"security.capability", capability(2))).file("v2", mode=0o755, mtime=1)
        .pax(xattr(b"security.capability", capability(3))).file("v3", mode=0o755, mtime=1)
    ],
    "capabilities that are none": lambda L, C: [L().pax(xattr(b"security.capability", b"x")).file("x", mtime=1)],
    "attributes of users": lambda L, C: [L().pax(xattr(b"user.note", b"n")).directory("d", mtime=1)],
    "pax bomb": lambda L, C: [L().pax({b"comment": bytes(16 << 20)}).file("x")],
    "pax header cut off": lambda L, C: [L().pax(b"999 path=x\n").file("x")],
    "many members": lambda L, C: [L().raw(L().file("x", mtime=1).bytes()[:512] * 2_000)],
    "device out of range": lambda L, C: [L().node("x", tarfile.CHRTYPE, 1 << 20, 0)],
    "unknown type": lambda L, C: [L().add("x", b"Z", mtime=1)],
    "cut off": lambda L, C: [L().raw(L().file("x", b"x" * 5000).bytes()[:2000])],
    "garbage": lambda L, C: [L().raw(b"not a tar at all".ljust(1024, b"!"))],
}  # fmt: skip


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def configuration(layers):
    rootfs = {"type": "layers", "diff_ids": [digest(text) for text in layers]}
    return json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()


def archive(layers, name):
    """What `docker save` would write for an image of these layers."""
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    files = dict(zip(names, layers, strict=True)) | {"config.json": configuration(layers)}
    files["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": names}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return out.getvalue()


class Registry(http.server.ThreadingHTTPServer):
    """Serves one image on loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content: dict[str, tuple[str, bytes]] = {}
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def serve(self, layers) -> str:
        config, packed = configuration(layers), [gzip.compress(text, 1) for text in layers]

        def described(kind, text):
            return {"mediaType": kind, "digest": digest(text), "size": len(text)}

        manifest = {"schemaVersion": 2, "mediaType": MEDIA, "config": described(CONFIG_MEDIA, config)}
        manifest["layers"] = [described(LAYER_MEDIA, text) for text in packed]
        self.content = {f"/v2/x/blobs/{digest(text)}": ("application/octet-stream", text) for text in [config, *packed]}
        body = json.dumps(manifest).encode()
        self.content |= {f"/v2/x/manifests/{name}": (MEDIA, body) for name in ("latest", digest(body))}
        return f"127.0.0.1:{self.server_port}/x:latest"


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        kind, body = self.server.content.get(self.path, ("application/json", b"{}"))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    registry = Registry()
    try:
        yield registry
    finally:
        registry.shutdown()
        registry.server_close()


@pytest.fixture(scope="module")
def registry():
    with serving() as served:
        yield served


def take_in(docker, registry, layers, tree_of):
    """What becomes of the layers by each way: `{way: a tree or the words of the refusal}`; images are removed."""
    pulled = registry.serve(layers)
    commands = {
        "load": (("load",), archive(layers, "tar-loaded:latest"), "tar-loaded"),
        "import": (("import", "-", "tar-imported"), layers[-1], "tar-imported"),
        "pull": (("pull", pulled), b"", pulled),
    }
    found = {}
    for way, (words, text, name) in commands.items():
        done = docker(*words, input=text)
        if done.returncode:
            found[way] = text_of(done.stderr.decode(errors="replace").strip()[:WORDS_MAX])
            continue
        graph = docker("image", "inspect", "-f", "{{json .GraphDriver.Data}}", name).stdout
        try:
            found[way] = tree(graph, tree_of)
        except PermissionError:  # what dockerd makes of a redirect that the image forged
            found[way] = UNREADABLE
        assert docker("rmi", "-f", name).returncode == 0
    return found


def tree(graph, tree_of):
    """The file system of an image as JSON can hold it."""
    data = json.loads(graph)
    paths = [data["UpperDir"], *filter(None, data.get("LowerDir", "").split(":"))]
    with stacked([Path(path) for path in paths]) as fd:
        return {
            text_of(name): {key: text_of(value) for key, value in entry.items()}
            for name, entry in tree_of(f"/proc/self/fd/{fd}/.").items()
        }


def text_of(value):
    match value:
        case bytes():
            return re.sub("canary-[^/]*", "canary", value.decode("latin-1"))
        case dict():
            return {name: text_of(each) for name, each in value.items()}
        case tuple():
            return list(value)
        case int() if value > RECENT_NS:
            return RECENT_NS
        case str():
            return re.sub("canary-[^/]*", "canary", value)
        case _:
            return value


@pytest.fixture
def ours(daemon):
    def run(*words, **options):
        return daemon.docker(*words, check=False, text=False, timeout=300, **options)

    return run


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORDED.read_text())["cases"]


# Where ours is not dockerd 28.5's, and why. Where that refuses what we take in, ours is what a chroot would make of it.
STRICT = "refused there: no name may lead up, no name may come twice, no link may lead above the root"
BELOW = "a link of a layer below is followed inside the image, as if the layer were applied to a whole tree"
STORED = "a layer that hides nothing has no marks"
DIFFERENT = {
    **dict.fromkeys(("dot dot", "dot dot to the canary", "whiteout up", "path in a pax header"), STRICT),
    **dict.fromkeys(("relative symlink, then through it", "parent replaced by a symlink", "one name twice"), STRICT),
    **dict.fromkeys(("hard link to a symlink", "fifo over a symlink", "directory over a symlink"), STRICT),
    **dict.fromkeys(("file over a directory", "many members"), STRICT),
    **dict.fromkeys(("symlink in a layer below", "whiteout through a symlink", "opaque through a symlink"), BELOW),
    **dict.fromkeys(("whiteout of a whiteout", "whiteout of what is not there", "forged whiteout"), STORED),
    "metadata of aufs": "left out, and not taken for whiteouts of `.wh.` names",
    "opaque root": "it hides all that is below, as the image specification says; overlayfs alone would not",
    "hard link to what was hidden": "refused; there the mark of the whiteout itself is linked",
    "times before 1970": "kept; there they become the beginning of 1970",
    "user -1": "refused; there the file is root's",
    "user 2^32-1": "refused; there the file is root's",
    "device out of range": "refused; there another device is made",
    "overlay's redirect": "left out; there the image cannot be read",
    "overlay's opaque": "left out; there the layers below are hidden by a mark that only overlayfs may set",
    "overlay's opaque for users": "left out; there it comes into the image",
}


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_hundred_thousand_members_cost_no_memory(ours, daemon, registry, canary, layer, tree_of):
    text = layer().raw(layer().file("x", mtime=1).bytes()[:512] * 100_000).bytes()
    Path(f"/proc/{daemon.process.pid}/clear_refs").write_text("5")
    before = peak_kb(daemon.process.pid)
    found = take_in(ours, registry, [text], tree_of)
    assert [list(each) for each in found.values()] == [["x"]] * 3
    assert peak_kb(daemon.process.pid) - before < MEMORY_KB_MAX


def peak_kb(pid):
    return next(
        int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line
    )


def comparable(found):
    """Trees as they are; of refusals only that they are."""
    return {way: "refused" if isinstance(each, str) and each != UNREADABLE else each for way, each in found.items()}


@pytest.mark.parametrize("case", CORPUS)
def test_each_way_gives_what_dockerd_gives(ours, registry, canary, layer, tree_of, recorded, case):
    layers = [each.bytes() for each in CORPUS[case](layer, canary)]
    found = take_in(ours, registry, layers, tree_of)
    assert "Traceback" not in str(found)
    assert comparable(found)["load"] == comparable(found)["pull"]
    assert UNREADABLE not in found.values()
    assert (comparable(found) == comparable(recorded[case])) is (case not in DIFFERENT)


@pytest.mark.peer
@pytest.mark.timeout(400)
def test_the_record_is_of_what_dockerd_does(peer, registry, canary, layer, tree_of, recorded):
    if peer.version < (28, 5):
        pytest.skip("the record is of a newer dockerd, whose tars are checked more strictly")

    def docker(*words, **options):
        return subprocess.run(["docker", "-H", peer.address, *words], capture_output=True, check=False, **options)

    for case, make in CORPUS.items():
        layers = [each.bytes() for each in make(layer, canary)]
        assert (case, take_in(docker, registry, layers, tree_of)) == (case, recorded[case])
