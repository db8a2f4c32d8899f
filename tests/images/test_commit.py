"""Committing: the layer and the documents are written side by side, and come to be together or not at all."""

import errno
import os
import threading

import pytest

from wherry.images.commit import CommitDraft, commit
from wherry.images.import_ import ImportRequest, import_image
from wherry.model.config import Config
from wherry.oci.reference import parse_reference

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
async def parent(library, tools):
    """The image that a container is of, which has written a file."""
    image = await import_image(library, tools.body(tools.tar({"f": b"1"})), ImportRequest(repository="x"))
    library.storage.prepare("box", image.layers[-1].chain_id)
    with library.storage.open("box") as rootfs:
        fd = os.open("new", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=rootfs.fd)
        os.write(fd, b"2")
        os.close(fd)
    return image


@pytest.fixture
def begin(library, parent):
    """Commit the container."""

    def begin(*names):
        draft = CommitDraft(parent=parent, config=Config(cmd=("it",)), created="2024-01-01T00:00:00Z")
        chain_id = parent.layers[-1].chain_id
        return commit(library, lambda: library.storage.capture("box", chain_id), draft, names=names)

    return begin


def there(library):
    """What exists of images."""
    return set(library.storage.keys()), [image.id for image in library.images.values()], len(library.tags.keys())


async def test_an_image_has_its_layer_its_documents_and_its_name(library, parent, begin):
    name = parse_reference("docker.io/library/y:1")
    image = await begin(name)
    assert library.images.get(image.id) == image
    assert library.tags.get(str(name)).image_id == image.id
    assert (image.parent, image.layers[:-1]) == (parent.id, parent.layers)
    assert library.storage.exists(image.layers[-1].chain_id)
    assert library.content.has(image.id)
    assert library.content.has(image.manifest)


async def test_one_whose_documents_cannot_be_kept_leaves_no_layer(library, begin, monkeypatch):
    before = there(library)
    real = library.content.add

    def fail(*_bodies):
        raise NO_SPACE

    monkeypatch.setattr(library.content, "add", fail)
    with pytest.raises(OSError, match="No space"):
        await begin()
    assert there(library) == before
    monkeypatch.setattr(library.content, "add", real)
    image = await begin()
    assert library.storage.exists(image.layers[-1].chain_id)


async def test_a_failure_is_told_when_the_other_half_has_ended(library, begin, monkeypatch):
    """Else that could still be writing when what it left is cleared up."""
    before = there(library)
    failed, ended = threading.Event(), threading.Event()
    real = library.storage._family.publish

    def publish(*args, **more):
        assert failed.wait(20)
        real(*args, **more)
        ended.set()

    def fail(*_bodies):
        failed.set()
        raise NO_SPACE

    monkeypatch.setattr(library.storage._family, "publish", publish)
    monkeypatch.setattr(library.content, "add", fail)
    with pytest.raises(OSError, match="No space"):
        await begin()
    assert ended.is_set()
    assert there(library) == before


async def test_one_whose_layer_cannot_be_kept_is_no_image(library, begin, monkeypatch):
    before = there(library)

    def fail(*_args, **_more):
        raise NO_SPACE

    monkeypatch.setattr(library.storage._family, "publish", fail)
    with pytest.raises(OSError, match="No space"):
        await begin()
    assert there(library) == before
