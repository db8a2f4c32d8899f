"""The layout's index: what images there are, for other tools."""

import asyncio
import json
import os

import pytest

from wherry.images import index
from wherry.images.import_ import ImportRequest, import_image
from wherry.images.remove import remove
from wherry.images.tag import tag


@pytest.fixture
async def kept(library, monkeypatch):
    """A library whose index is kept, without the delay."""
    monkeypatch.setattr(index, "DELAY_SECONDS", 0)
    keeping = asyncio.create_task(index.keep_index(library))
    yield library
    keeping.cancel()


def told(library):
    """What the index says: names, or the lack of one, with the digest of the manifest."""
    found = json.loads((library.content.root / "index.json").read_bytes())["manifests"]
    return {((one.get("annotations") or {}).get("org.opencontainers.image.ref.name"), one["digest"]) for one in found}


async def until_it_says(library, *wanted):
    async with asyncio.timeout(20):
        while told(library) != set(wanted):  # noqa: ASYNC110 - it is a file
            await asyncio.sleep(0.005)


async def test_it_follows_the_images_and_their_names(kept, tools):
    one = await import_image(kept, tools.body(tools.tar({"f": b"1"})), ImportRequest(repository="x"))
    two = await import_image(kept, tools.body(tools.tar({"f": b"2"})), ImportRequest(repository=""))
    x, y = "docker.io/library/x:latest", "docker.io/library/y:1"
    await until_it_says(kept, (x, one.manifest), (None, two.manifest))
    await tag(kept, one.id, repository="y", tag="1")
    await until_it_says(kept, (x, one.manifest), (y, one.manifest), (None, two.manifest))
    await remove(kept, "x", users={})
    await remove(kept, two.id, users={})
    await until_it_says(kept, (y, one.manifest))


async def test_what_cannot_be_written_is_logged_and_written_with_the_next_change(kept, tools, caplog):
    path = kept.content.root / "index.json"
    path.unlink()
    path.mkdir()
    one = await import_image(kept, tools.body(tools.tar({"f": b"1"})), ImportRequest(repository="x"))
    async with asyncio.timeout(20):
        while "Is a directory" not in caplog.text:  # noqa: ASYNC110 - it is another task's
            await asyncio.sleep(0.005)
    assert os.listdir(kept.content.root / "ingest") == []
    path.rmdir()
    await remove(kept, one.id, users={})
    async with asyncio.timeout(20):
        while not path.exists():  # noqa: ASYNC110 - it is a file
            await asyncio.sleep(0.005)
    assert told(kept) == set()


async def test_the_end_does_not_wait_for_the_delay(library, tools):
    one = await import_image(library, tools.body(tools.tar({"f": b"1"})), ImportRequest(repository=""))
    assert told(library) == set()
    await index.catch_up(library)
    assert told(library) == {(None, one.manifest)}
    before = (library.content.root / "index.json").stat()
    await index.catch_up(library)
    assert (library.content.root / "index.json").stat() == before
