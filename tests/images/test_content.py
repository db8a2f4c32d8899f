"""The content store, leases, and what is left after a crash."""

import asyncio
import hashlib
import os
import time

import pytest

from wherry.images.content import Content, ContentMismatch
from wherry.images.garbage import sweep
from wherry.images.import_ import ImportRequest, import_image
from wherry.images.leases import Leases
from wherry.oci.digest import DigestError, digest_of

DIGEST = digest_of(b"12")


@pytest.fixture
def content(tmp_path):
    return Content(tmp_path / "content")


def test_a_blob_is_there_when_it_is_whole_and_not_before(content):
    with content.resume(DIGEST) as ingest:
        ingest.write(b"1")
        assert not content.has(DIGEST)
        ingest.write(b"2")
        assert ingest.commit() == DIGEST
    assert content.read(DIGEST) == b"12"
    assert content.size(DIGEST) == 2
    assert list(content.digests()) == [DIGEST]
    assert content.path(DIGEST).stat().st_mode & 0o777 == 0o600


def test_a_download_goes_on_where_it_stopped(content):
    with content.resume(DIGEST) as ingest:
        ingest.write(b"1")
    with content.resume(DIGEST) as ingest:
        assert ingest.offset == 1
        ingest.write(b"2")
        ingest.commit()
    assert content.has(DIGEST)
    assert content.unfinished() == []


def test_wrong_bytes_never_become_a_blob(content):
    with content.resume(DIGEST) as ingest:
        ingest.write(b"13")
        with pytest.raises(ContentMismatch):
            ingest.commit()
    assert not content.has(DIGEST)
    assert content.unfinished() == []
    content.add(b"12")
    content.path(DIGEST).write_bytes(b"xx")
    with pytest.raises(ContentMismatch, match="damaged"):
        content.read(DIGEST)


def test_bytes_of_unknown_digest_leave_nothing_when_they_are_given_up(content):
    with content.write() as ingest:
        ingest.write(b"1")
    assert list((content.root / "ingest").iterdir()) == []
    with content.write() as ingest:
        ingest.write(b"12")
        assert ingest.commit() == DIGEST


def test_only_digests_become_paths(content):
    for bad in ("../x", "sha256:../../x", "sha256:" + "/" * 64, ""):
        with pytest.raises(DigestError):
            content.path(bad)


def test_a_sweep_takes_leftovers_and_what_is_unwanted_but_not_what_a_pull_has_just_fetched(content):
    wanted, old = content.add(b"wanted", b"old")
    new = "sha256:" + hashlib.sha256(b"new").hexdigest()
    with content.resume(new) as ingest:
        ingest.write(b"new")
        ingest.commit()
    with content.resume("sha256:" + "1" * 64) as ingest:
        ingest.write(b"recent")
    with content.resume("sha256:" + "2" * 64) as ingest:
        ingest.write(b"ancient")
    leftover = content.root / "ingest" / "tmp-crashed"
    leftover.write_bytes(b"x")
    ancient = time.time() - 48 * 3600
    os.utime(content.root / "ingest" / f"sha256-{'2' * 64}", (ancient, ancient))
    assert content.sweep({wanted}) == sorted([old[7:], f"sha256-{'2' * 64}", "tmp-crashed"])
    assert set(content.digests()) == {wanted, new}
    assert content.unfinished() == ["sha256:" + "1" * 64]


async def test_a_start_sweeps_and_keeps_the_images(library, tools):
    image = await import_image(library, tools.body(tools.tar({"f": b"1"})), ImportRequest(repository="x"))
    [stray] = library.content.add(b"stray")
    assert await sweep(library) == [stray[7:]]
    assert set(library.content.digests()) == {image.id, image.manifest, image.layers[0].blob}


async def test_turns_are_taken_one_by_one_and_leave_no_trace():
    leases = Leases()
    order = []

    async def work(name):
        async with leases.turn("key"):
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    await asyncio.gather(work("a"), work("b"), work("c"))
    assert order == ["a", "a", "b", "b", "c", "c"]
    assert not leases.is_busy("key")
    with leases.hold(["x"]), leases.hold(["x"]):
        assert leases.is_held("x")
    assert not leases.is_held("x")
