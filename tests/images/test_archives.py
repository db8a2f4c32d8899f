"""`docker save` and `docker load`: round trips, other tools' archives, and archives made to do harm."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile

import pytest
import zstandard

from wherry.images.find import find
from wherry.images.import_ import ImportRequest, import_image
from wherry.images.index import catch_up
from wherry.images.load import load
from wherry.images.pull import pull
from wherry.images.push import push
from wherry.images.remove import remove
from wherry.images.save import save
from wherry.images.tag import tag
from wherry.model.errors import EngineError, InvalidParameter, NotFound


@pytest.fixture
async def two_images(library, tools):
    """Two images that share a layer's content, one of them with two names."""
    tar = tools.tar({"shared": b"x" * 10_000})
    for name in ("one", "two"):
        await import_image(library, tools.body(tar), ImportRequest(repository=name, changes=(f"ENV N={name}",)))
    await tag(library, "one", repository="one", tag="other")
    return library


async def test_saved_images_are_loaded_with_their_names_and_ids(two_images, make_library, tools):
    data = await tools.collect(await save(two_images, ["one", "two:latest"]))
    other = make_library("other")
    messages = tools.messages()
    ids = await load(other, tools.body(data), report=messages)
    assert ids == [find(two_images, "one").id, find(two_images, "two").id]
    assert [m.stream for m in messages if m.stream] == [
        "Loaded image: one:latest\n",
        "Loaded image: one:other\n",
        "Loaded image: two:latest\n",
    ]
    assert {m.status for m in messages if not m.stream} == {"Loading layer"}
    for name in ("one", "one:other", "two"):
        assert find(other, name).id == find(two_images, name).id
        assert find(other, name).manifest == find(two_images, name).manifest


async def test_shared_layers_are_in_the_archive_once(two_images, tools):
    data = await tools.collect(await save(two_images, ["one", "two"]))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))
        repositories = json.load(tar.extractfile("repositories"))
    assert len(names) == len(set(names))
    assert manifest[0]["Layers"] == manifest[1]["Layers"]
    assert manifest[0]["RepoTags"] == ["one:latest", "one:other"]
    assert set(repositories) == {"one", "two"}
    assert len(data) % 10240 == 0


async def test_an_image_saved_by_its_id_has_no_name(two_images, make_library, tools):
    image = find(two_images, "one")
    data = await tools.collect(await save(two_images, [image.id]))
    other = make_library("other")
    messages = tools.messages()
    await load(other, tools.body(data), report=messages)
    assert [m.stream for m in messages if m.stream] == [f"Loaded image ID: {image.id}\n"]
    assert find(other, image.id[7:19]).references == ()


async def test_what_is_not_here_cannot_be_saved(library):
    for name, words in (("nope", "No such image: nope"), ("nope:1", "reference does not exist")):
        with pytest.raises(NotFound) as error:
            await save(library, [name])
        assert str(error.value) == words


async def test_a_name_moves_to_the_loaded_image(two_images, tools):
    data = await tools.collect(await save(two_images, ["one:latest"]))
    old = find(two_images, "two").id
    await tag(two_images, "two", repository="one")
    messages = tools.messages()
    await load(two_images, tools.body(data), report=messages, quiet=True)
    assert [m.stream for m in messages] == [
        f"The image one:latest already exists, renaming the old one with ID {old} to empty string\n",
        "Loaded image: one:latest\n",
    ]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress])
async def test_compressed_archives_are_loaded(two_images, make_library, tools, compress):
    data = compress(await tools.collect(await save(two_images, ["one"])))
    other = make_library("other")
    await load(other, tools.body(data), quiet=True)
    assert find(other, "one").id == find(two_images, "one").id


async def test_skopeo_and_umoci_read_what_we_save_and_we_what_they_write(two_images, make_library, tools, tmp_path):
    (tmp_path / "a.tar").write_bytes(await tools.collect(await save(two_images, ["one:latest"])))
    tools.run(["skopeo", "copy", "-q", f"docker-archive:{tmp_path}/a.tar", f"oci:{tmp_path}/layout:latest"])
    tools.run(
        ["skopeo", "copy", "-q", f"docker-archive:{tmp_path}/a.tar", f"oci-archive:{tmp_path}/b.tar:three:latest"]
    )
    tools.run(
        ["skopeo", "copy", "-q", f"docker-archive:{tmp_path}/a.tar", f"docker-archive:{tmp_path}/c.tar:four:latest"]
    )
    seen = tools.run(["umoci", "stat", "--image", f"{tmp_path}/layout:latest", "--json"])
    assert json.loads(seen)["history"][0]["comment"] == "Imported from -"
    other = make_library("other")
    for file, name in (("b", "three"), ("c", "four")):
        await load(other, tools.body((tmp_path / f"{file}.tar").read_bytes()), quiet=True)
        assert find(other, name).config.env == ("N=one",)
        assert find(other, name).layers[0].diff_id == find(two_images, "one").layers[0].diff_id


async def test_our_content_store_is_a_layout_that_skopeo_reads(two_images, tools):
    await catch_up(two_images)
    root = two_images.content.root
    seen = tools.run(["skopeo", "inspect", "--config", f"oci:{root}:docker.io/library/one:latest"])
    assert json.loads(seen)["config"]["Env"] == ["N=one"]


@pytest.mark.peer
async def test_dockerd_loads_what_we_save_and_we_what_dockerd_saves(library, docker, tools, tmp_path, seed_busybox):
    image = await seed_busybox(library)
    archive = tmp_path / "ours.tar"
    archive.write_bytes(await tools.collect(await save(library, ["busybox"])))
    loaded = docker("load", "-i", str(archive), check=True)
    assert loaded.stdout.endswith(b"Loaded image: busybox:latest\n")
    assert docker("inspect", "-f", "{{.Id}} {{.Config.Cmd}}", "busybox", check=True).stdout.decode().split() == [
        image.id,
        "[sh]",
    ]
    docker("tag", "busybox", "again:1", check=True)
    docker("save", "-o", str(tmp_path / "theirs.tar"), "again:1", check=True)
    await remove(library, "busybox", users={})
    await load(library, tools.body((tmp_path / "theirs.tar").read_bytes()))
    assert find(library, "again:1").id == image.id
    assert find(library, "again:1").layers[0].diff_id == image.layers[0].diff_id


@pytest.mark.peer
async def test_dockerd_pulls_what_we_push_and_we_what_dockerd_pushes(library, docker, registry, tools, seed_busybox):
    image = await seed_busybox(library)
    await tag(library, "busybox", repository=f"{registry}/peer", tag="ours")
    await push(library, f"{registry}/peer:ours")
    pulled = docker("pull", f"{registry}/peer:ours", check=True).stdout.decode()
    assert find(library, "busybox").digests[0].partition("@")[2] in pulled
    assert docker("inspect", "-f", "{{.Id}}", f"{registry}/peer:ours", check=True).stdout.decode().strip() == image.id
    docker("tag", f"{registry}/peer:ours", f"{registry}/peer:theirs", check=True)
    pushed = docker("push", f"{registry}/peer:theirs", check=True).stdout.decode()
    await pull(library, f"{registry}/peer:theirs")
    found = find(library, f"{registry}/peer:theirs")
    assert found.id == image.id
    assert any(digest.partition("@")[2] in pushed for digest in found.digests)


class Packed:
    """A docker-archive with one image, for tests to spoil."""

    def __init__(self, tools, *, layer=None):
        self.layer = layer or tools.tar({"f": b"1"})
        self.config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [tools.digest(self.layer)]},
        }
        self.item = {"Config": "c.json", "Layers": ["l.tar"], "RepoTags": ["x:1"]}
        self.manifest = None
        self.members = []

    def link(self, name, target, kind=tarfile.SYMTYPE):
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = target
        self.members.append((member, b""))
        return self

    def file(self, name, data):
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self.members.append((member, data))
        return self

    def bytes(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for member, data in self.members:
                tar.addfile(member, io.BytesIO(data))
            for name, data in (
                ("c.json", json.dumps(self.config).encode()),
                ("l.tar", self.layer),
                ("manifest.json", json.dumps([self.item] if self.manifest is None else self.manifest).encode()),
            ):
                if name not in {each.name for each, _ in self.members}:
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        return packed.getvalue()


@pytest.fixture
def canary(tmp_path):
    """A place beside everything that must stay as it is, with a secret in it."""
    place = tmp_path / "canary"
    place.mkdir()
    (place / "secret").write_text("secret")
    before = look_at(tmp_path, place)
    yield place
    assert look_at(tmp_path, place) == before


def look_at(root, place):
    beside = sorted(path.name for path in root.iterdir())
    return [(path.name, path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(place.iterdir())], [
        name for name in beside if name not in {"library", "other"}
    ]


async def test_links_inside_the_archive_are_followed_as_old_dockers_need(library, tools):
    packed = Packed(tools)
    packed.item["Layers"] = ["two/layer.tar"]
    packed.file("one/layer.tar", packed.layer).link("two/layer.tar", "../one/layer.tar")
    await load(library, tools.body(packed.bytes()))
    assert find(library, "x:1")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda p: p.item.update(Config="../../etc/passwd"), "invalid path in archive"),
        (lambda p: p.item.update(Config="/etc/passwd"), "invalid path in archive"),
        (lambda p: p.item.update(Layers=["../l.tar"]), "invalid path in archive"),
        (lambda p: p.link("c.json", "/etc/passwd"), "invalid path in archive"),
        (lambda p: p.link("l.tar", "../../../etc/passwd"), "invalid path in archive"),
        (lambda p: p.link("l.tar", "/etc/passwd", tarfile.LNKTYPE), "invalid path in archive"),
        (lambda p: p.link("l.tar", "l.tar"), "invalid symlink in archive"),
        (lambda p: p.link("l.tar", "nowhere"), "is not in it"),
        (lambda p: p.file("../evil", b"x"), "invalid path in archive"),
        (lambda p: p.file("/evil", b"x"), "invalid path in archive"),
        (lambda p: p.item.update(Layers=[]), "layers length mismatch: expected 0, got 1"),
        (lambda p: p.item.update(RepoTags=["x"]), 'invalid tag "x"'),
        (lambda p: p.item.update(RepoTags=["../x:1"]), "invalid reference format"),
        (lambda p: p.config.update(os="windows"), "cannot load windows image on linux"),
        (lambda p: p.config["rootfs"].update(diff_ids=["sha256:" + "0" * 64]), "invalid diffID for layer 0: expected"),
        (lambda p: p.config["rootfs"].update(diff_ids=["sha256:../../x"]), "invalid digest"),
        (lambda p: setattr(p, "manifest", [None]), "invalid manifest"),
        (lambda p: setattr(p, "manifest", {}), "invalid manifest"),
        (lambda p: p.file("manifest.json", b"null"), "manifest cannot be null"),
        (lambda p: p.file("l.tar", b"no tar at all" * 100), "invalid"),
        (lambda p: p.config.update(config={"Env": 5}), "invalid image configuration"),
    ],
)
async def test_a_hostile_archive_changes_nothing(library, tools, canary, spoil, why):
    packed = Packed(tools)
    spoil(packed)
    with pytest.raises(EngineError, match=why):
        await load(library, tools.body(packed.bytes()))
    assert library.tags.values() == []
    assert list(library.storage.keys()) == []
    assert list(library.content.digests()) == []


async def test_what_is_no_archive_is_refused(library, tools):
    for data in (b"", b"x" * 10_000, gzip.compress(b"x" * 10_000), gzip.compress(b"x" * 10_000)[:50], os.urandom(5000)):
        with pytest.raises(InvalidParameter, match=r"invalid|damaged|unexpected EOF"):
            await load(library, tools.body(data))


async def test_a_header_bomb_is_not_read(library, tools):
    bomb = tarfile.TarInfo("././@PaxHeader")
    bomb.type = tarfile.XHDTYPE
    bomb.size = 1 << 31
    with pytest.raises(InvalidParameter, match="a header of"):
        await load(library, tools.body(bomb.tobuf() + b"\0" * 1024))


async def test_a_blob_that_is_not_what_its_name_says_is_refused(library, tools):
    packed = Packed(tools)
    wrong = "blobs/sha256/" + "0" * 64
    packed.item["Layers"] = [wrong]
    packed.file(wrong, packed.layer)
    with pytest.raises(InvalidParameter, match="content is sha256:"):
        await load(library, tools.body(packed.bytes()))
    packed.item.update(Layers=["l.tar"], Config=wrong)
    with pytest.raises(InvalidParameter, match="does not have that digest"):
        await load(library, tools.body(packed.bytes()))
    assert list(library.content.digests()) == []
