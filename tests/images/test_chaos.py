"""What goes wrong between two machines, and in the middle of a verb."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from wherry.images.find import find
from wherry.images.pull import pull
from wherry.images.remove import remove
from wherry.model.errors import EngineError, NotFound
from wherry.registry.errors import RegistryError


@pytest.fixture
def layers(tools):
    return [tools.tar({"a": b"1"}), tools.tar({"b": b"2" * 3_000_000})]


def is_whole(library):
    """Every image that there is has all its content and layers, and nothing else is left."""
    for image in library.images.values():
        for layer in image.layers:
            assert library.content.has(layer.blob)
            assert library.storage.exists(layer.chain_id)
        assert library.content.has(image.id)
        assert library.content.has(image.manifest)
    assert set(library.storage.keys()) == library.wanted_layers()
    assert all(library.images.get(tag.image_id) for tag in library.tags.values())


async def raw_server(answer):
    """A server below HTTP: `answer` gets the first line, and gives the bytes to send before hanging up."""

    async def serve(reader, writer):
        first = await reader.readexactly(1)
        if first != b"\x16":  # the beginning of TLS, which is hung up on
            method, path, _ = (first + await reader.readline()).decode().split()
            while (await reader.readline()).strip():
                pass
            head, separator, body = answer(path).partition(b"\r\n\r\n")
            writer.write(head + separator + (body if method == "GET" else b""))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_a_server_of_http_1_0_without_lengths_is_understood(library, fake, layers):
    fake.add("x", "1", layers)
    kind, manifest = fake.manifests["x", "1"]

    def answer(path):
        if "/blobs/" in path:
            return b"HTTP/1.0 200 OK\r\n\r\n" + fake.blobs[path.rpartition("/")[2]]
        if "/manifests/" in path:
            return f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode() + manifest
        return b"HTTP/1.0 200 OK\r\n\r\n"

    server, port = await raw_server(answer)
    async with server:
        await pull(library, f"127.0.0.1:{port}/x:1")
    is_whole(library)
    assert find(library, f"127.0.0.1:{port}/x:1")


@pytest.mark.parametrize(
    "noise", [b"", b"\0" * 100, b"HTTP/1.1 ", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"]
)
async def test_what_is_no_http_is_a_clear_error(library, noise):
    server, port = await raw_server(lambda _path: noise)
    async with server:
        with pytest.raises(RegistryError, match=f'Get "http://127.0.0.1:{port}/v2/": '):
            await pull(library, f"127.0.0.1:{port}/x")


async def test_chunks_without_a_length_are_understood(library, fake, layers):
    fake.add("x", "1", layers)

    async def chunked(request, body):
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for start in range(0, len(body), 100_000):
            await answer.write(body[start : start + 100_000])
        return answer

    fake.on_blob = chunked
    await pull(library, f"{fake.host}/x:1")
    is_whole(library)


async def test_a_redirect_to_a_dead_host_is_told(library, fake, layers):
    fake.add("x", "1", layers[:1])

    async def away(_request, _body):
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/blob"})

    fake.on_blob = away
    with pytest.raises(RegistryError, match="connect: connection refused"):
        await pull(library, f"{fake.host}/x:1")


async def test_redirects_in_a_circle_end(library, fake, layers):
    fake.add("x", "1", layers[:1])

    async def around(request, _body):
        return web.Response(status=307, headers={"Location": request.path})

    fake.on_blob = around
    with pytest.raises(RegistryError, match="stopped after 10 redirects"):
        await pull(library, f"{fake.host}/x:1")


async def test_the_failure_of_one_layer_ends_the_others_and_leaves_no_layer(library, fake, layers):
    fake.add("x", "1", layers)
    last = json.loads(fake.manifests["x", "1"][1])["layers"][1]["digest"]

    async def spoil(request, body):
        return web.Response(body=body[:-1] + b"x") if request.path.endswith(last) else None

    fake.on_blob = spoil
    with pytest.raises(EngineError, match="filesystem layer verification failed"):
        await pull(library, f"{fake.host}/x:1")
    assert library.images.values() == []
    is_whole(library)


async def test_pulls_and_removals_at_the_same_time_leave_a_whole_library(library, fake, layers):
    for name in "xyz":
        fake.add(name, "1", layers, config={"config": {"Labels": {"n": name}}})

    async def come_and_go(name):
        for _ in range(6):
            await pull(library, f"{fake.host}/{name}:1")
            try:
                await remove(library, f"{fake.host}/{name}:1", users={})
            except NotFound:
                continue

    await asyncio.gather(*(come_and_go(name) for name in "xyzx"))
    await pull(library, f"{fake.host}/x:1")
    is_whole(library)
    await remove(library, f"{fake.host}/x:1", users={})
    is_whole(library)
    assert library.images.values() == []


PULLER = """
import asyncio, sys
from pathlib import Path
from wherry.images.content import Content
from wherry.images.library import Library
from wherry.images.pull import pull
from wherry.model.image import Image, Tag
from wherry.records.ledger import Ledger
from wherry.records.shelf import Shelf
from wherry.registry.client import Registries
from wherry.storage.vfs import Vfs

def tell(progress):
    if progress.status == "Downloading" and progress.current >= 1048576:
        print("half", flush=True)

async def main(root, name):
    ledger = Ledger(root / "wherry.db")
    library = Library(content=Content(root / "content"), storage=Vfs(root / "snapshots"), registries=Registries(),
                      images=Shelf(ledger, "images", Image), tags=Shelf(ledger, "tags", Tag))
    await pull(library, name, report=tell)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def test_a_daemon_killed_in_the_middle_leaves_nothing_half_there_and_the_next_goes_on(
    make_library, fake, layers, tmp_path
):
    fake.add("x", "1", layers, compress=bytes)
    release = asyncio.Event()

    async def stop_half_way(request, body):
        if len(body) < 1_000_000 or "Range" in request.headers:
            return None
        answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await answer.prepare(request)
        await answer.write(body[:2_000_000])
        await release.wait()
        return answer

    fake.on_blob = stop_half_way
    root = tmp_path / "killed"
    root.mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PULLER, str(root), f"{fake.host}/x:1", stdout=subprocess.PIPE
    )
    assert await process.stdout.readline() == b"half\n"
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    release.set()
    library = make_library("killed")
    assert library.images.values() == []
    assert library.tags.values() == []
    assert json.loads(fake.manifests["x", "1"][1])["layers"][1]["digest"] in library.content.unfinished()
    library.storage.sweep(library.wanted_layers())
    is_whole(library)
    await pull(library, f"{fake.host}/x:1")
    is_whole(library)
    resumed = [int(headers["Range"][6:-1]) for _, _, headers in fake.requests if "Range" in headers]
    assert max(resumed) >= 1_048_576
    assert Path(library.content.path(library.images.values()[0].layers[1].blob)).read_bytes() == layers[1]
