"""Registries that want more than to serve an image: other hosts called, endless answers, towers of layers."""

import gzip
import json

import pytest
from aiohttp import web

from wherry.images.find import find
from wherry.images.pull import pull
from wherry.images.unpacking import LAYERS_MAX
from wherry.model.errors import EngineError
from wherry.oci.image import CONFIG_BYTES_MAX
from wherry.registry.credentials import Credentials

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def nothing_came(library):
    assert list(library.storage.keys()) == []
    assert library.tags.values() == []


def change(fake, alter):
    """Let the manifest of x:latest say something else."""
    kind, body = fake.manifests["x", "latest"]
    manifest = json.loads(body)
    alter(manifest)
    fake.manifests["x", "latest"] = (kind, json.dumps(manifest).encode())


@pytest.mark.parametrize("kind", [LAYER, FOREIGN])
async def test_a_layers_other_addresses_are_never_asked(library, fake, serve, tools, kind):
    """CVE-2020-15157: whoever writes a manifest must not choose whom we call."""
    called = []

    async def other(request):
        called.append(request.path)
        return web.Response(body=b"")

    address = f"http://127.0.0.1:{await serve(other)}/layer"
    fake.add("x", "latest", [tools.tar({"f": b"1"})])
    change(fake, lambda manifest: manifest["layers"][0].update(urls=[address], mediaType=kind))
    login = Credentials(username="u", password="p")
    try:
        await pull(library, f"{fake.host}/x", credentials=login)
    except EngineError:
        nothing_came(library)
    else:
        assert find(library, f"{fake.host}/x")
    assert called == []


async def test_a_token_server_sends_us_nowhere(library, fake, serve, tools):
    called = []

    async def other(request):
        called.append(request.path)
        return web.json_response({"token": "t"})

    there = f"http://127.0.0.1:{await serve(other)}/token"

    fake.add("x", "latest", [tools.tar({"f": b"1"})])
    fake.token = "secret"
    fake._give_token = away_from(there)
    with pytest.raises(EngineError):
        await pull(library, f"{fake.host}/x", credentials=Credentials(username="u", password="p"))
    assert called == []
    nothing_came(library)


def away_from(there):
    return lambda _request: web.Response(status=302, headers={"Location": there})


async def test_an_endless_token_is_not_read_to_its_end(library, fake, tools):
    fake.add("x", "latest", [tools.tar({"f": b"1"})])
    fake.token = "secret"
    fake._give_token = lambda _request: web.Response(body=b" " * (8 << 20))
    with pytest.raises(EngineError, match="token server's answer is too large"):
        await pull(library, f"{fake.host}/x")
    nothing_came(library)


async def test_an_endless_configuration_is_not_read_to_its_end(library, fake, tools):
    fake.add("x", "latest", [tools.tar({"f": b"1"})])
    for size in (CONFIG_BYTES_MAX + 1, 100 << 20, 1 << 62):
        change(fake, lambda manifest, size=size: manifest["config"].update(size=size))
        with pytest.raises(EngineError):
            await pull(library, f"{fake.host}/x")
    # The size may be a lie too.
    sent = []

    async def endless(request, body):
        if request.path.endswith(json.loads(fake.manifests["x", "latest"][1])["config"]["digest"]):
            answer = web.StreamResponse()
            await answer.prepare(request)
            while len(sent) < 1000:
                await answer.write(bytes(1 << 20))
                sent.append(1)
            return answer
        return None

    fake.on_blob = endless
    change(fake, lambda manifest: manifest["config"].update(size=2000))
    with pytest.raises(EngineError):
        await pull(library, f"{fake.host}/x")
    assert len(sent) < 1000
    nothing_came(library)


async def test_a_tower_of_layers_is_not_begun(library, fake, tools):
    empty = tools.tar({})
    fake.add("x", "latest", [empty] * (LAYERS_MAX + 1), compress=lambda text: gzip.compress(text, mtime=0))
    fake.requests.clear()
    with pytest.raises(EngineError, match="max depth exceeded"):
        await pull(library, f"{fake.host}/x")
    assert len(fake.paths()) <= 4
    nothing_came(library)


@pytest.mark.parametrize(
    "alter",
    [
        lambda m: m.update(layers=None),
        lambda m: m.update(layers={}),
        lambda m: m.update(layers=[None]),
        lambda m: m.update(layers=[{}]),
        lambda m: m["layers"][0].update(digest="sha256:../../../../etc/passwd"),
        lambda m: m["layers"][0].update(digest="md5:" + "0" * 32),
        lambda m: m["layers"][0].update(digest=7),
        lambda m: m["layers"][0].update(size=-1),
        lambda m: m["layers"][0].update(size=1e300),
        lambda m: m["layers"][0].update(size="many"),
        lambda m: m["layers"][0].update(mediaType="text/html"),
        lambda m: m.update(config=None),
        lambda m: m.update(config=[]),
        lambda m: m["config"].update(digest=""),
        lambda m: m["config"].update(digest="sha256:" + "0" * 64),
        lambda m: m.update(schemaVersion="two"),
        lambda m: m.update(schemaVersion=3),
        lambda m: m.clear(),
    ],
)
async def test_a_manifest_that_makes_no_sense_is_refused(library, fake, tools, alter):
    """CVE-2021-21285."""
    fake.add("x", "latest", [tools.tar({"f": b"1"})])
    change(fake, alter)
    with pytest.raises(EngineError) as caught:
        await pull(library, f"{fake.host}/x")
    assert "Traceback" not in str(caught.value)
    nothing_came(library)
