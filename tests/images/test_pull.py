"""Pulling from registries, real ones and one that misbehaves."""

import asyncio
import gzip
import json
import os

import pytest
import zstandard
from aiohttp import web

from wherry.images.find import find
from wherry.images.pull import pull
from wherry.model.errors import EngineError, InvalidParameter, NotFound
from wherry.registry.credentials import Credentials
from wherry.registry.errors import RegistryError
from wherry.registry.hosts import RegistryOptions


@pytest.fixture
def layers(tools):
    """Two small layers and a large one."""
    return [tools.tar({"a": b"1"}), tools.tar({"b": b"2" * 3_000_000}), tools.tar({"c": bytes(range(256)) * 4096})]


def nothing_is_half_there(library):
    assert library.images.values() == []
    assert library.tags.values() == []
    assert list(library.storage.keys()) == []


async def test_a_pull_tells_what_dockerd_tells(library, fake, layers, tools, library_events):
    digest = fake.add("x", "1", layers[:2])
    messages = tools.messages()
    await pull(library, f"{fake.host}/x:1", report=messages)
    shorts = [layer["digest"][7:19] for layer in json.loads(fake.manifests["x", "1"][1])["layers"]]
    lines = messages.lines()
    assert lines[:3] == ["1: Pulling from x", *(f"{short}: Pulling fs layer" for short in shorts)]
    for short in shorts:
        mine = [line for line in lines if line.startswith(short) and "Waiting" not in line]
        assert [line.partition(": ")[2] for line in mine] == [
            "Pulling fs layer",
            "Verifying Checksum",
            "Download complete",
            "Pull complete",
        ]
    assert lines[-2:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {fake.host}/x:1"]
    assert {m.status for m in messages if m.current >= 0} == {"Downloading", "Extracting"}
    assert [(event.action, event.actor_id) for event in library_events] == [("pull", f"{fake.host}/x:1")]


async def test_the_image_is_what_was_pushed(library, fake, layers, tools):
    digest = fake.add("x", "latest", layers, config={"config": {"Cmd": ["a"], "Env": ["A=b"], "Labels": {"l": "1"}}})
    await pull(library, f"{fake.host}/x")
    image = find(library, f"{fake.host}/x")
    assert image.id == json.loads(fake.manifests["x", "latest"][1])["config"]["digest"]
    assert image.references == (f"{fake.host}/x:latest",)
    assert image.digests == (f"{fake.host}/x@{digest}",)
    assert image.config.cmd == ("a",)
    assert image.config.env == ("A=b",)
    assert image.config.labels == {"l": "1"}
    assert [layer.diff_id for layer in image.layers] == [tools.digest(layer) for layer in layers]
    assert image.size_bytes >= 3_000_000 + 256 * 4096
    assert library.storage.exists(image.chain_id)
    assert find(library, f"{fake.host}/x@{digest}").id == image.id


async def test_a_second_pull_finds_everything_there(library, fake, layers, tools):
    fake.add("x", "latest", layers)
    await pull(library, f"{fake.host}/x")
    before = len(fake.requests)
    messages = tools.messages()
    await pull(library, f"{fake.host}/x", report=messages)
    assert messages.lines()[-1] == f"Status: Image is up to date for {fake.host}/x:latest"
    assert not any("/blobs/" in path for _, path, _ in fake.requests[before:])


async def test_layers_shared_with_another_image_are_not_fetched_again(library, fake, layers, tools):
    fake.add("x", "latest", layers[:1])
    fake.add("y", "latest", layers[:2])
    await pull(library, f"{fake.host}/x")
    messages = tools.messages()
    await pull(library, f"{fake.host}/y", report=messages)
    assert [line.partition(": ")[2] for line in messages.lines()[1:3]] == ["Already exists", "Pulling fs layer"]


@pytest.mark.parametrize(
    "compress", [gzip.compress, zstandard.ZstdCompressor().compress, bytes], ids=["gzip", "zstd", "plain"]
)
@pytest.mark.parametrize("kind", ["oci", "docker"])
async def test_every_compression_and_both_kinds_of_manifest_are_understood(library, fake, layers, compress, kind):
    fake.add("x", "latest", layers, compress=compress, kind=kind)
    await pull(library, f"{fake.host}/x")
    assert len(find(library, f"{fake.host}/x").layers) == 3


async def test_an_index_gives_the_image_for_the_platform(library, fake, layers):
    entries = []
    for architecture, layer in (("arm64", layers[0]), ("amd64", layers[1])):
        digest = fake.add("x", architecture, [layer], config={"architecture": architecture})
        kind, body = fake.manifests["x", digest]
        platform = {"os": "linux", "architecture": architecture}
        entries.append({"mediaType": kind, "digest": digest, "size": len(body), "platform": platform})
    unknown = {"mediaType": kind, "digest": digest, "size": 1, "platform": {"os": "unknown", "architecture": "unknown"}}
    kind = "application/vnd.oci.image.index.v1+json"
    index = fake.add_manifest("x", "latest", {"schemaVersion": 2, "mediaType": kind, "manifests": [unknown, *entries]})
    await pull(library, f"{fake.host}/x", platform="linux/arm64")
    assert find(library, f"{fake.host}/x").architecture == "arm64"
    assert find(library, f"{fake.host}/x").digests == (f"{fake.host}/x@{index}",)
    await pull(library, f"{fake.host}/x", platform="linux/amd64")
    assert find(library, f"{fake.host}/x").architecture == "amd64"
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x in the manifest list entries"):
        await pull(library, f"{fake.host}/x", platform="linux/s390x")


async def test_all_tags_of_a_repository_are_pulled(library, fake, layers, tools):
    for tag, layer in zip("123", layers, strict=True):
        fake.add("x", tag, [layer])
    messages = tools.messages()
    await pull(library, f"{fake.host}/x", all_tags=True, report=messages)
    assert len(library.images.values()) == 3
    assert messages.lines()[-1] == f"Status: Downloaded newer image for {fake.host}/x"
    with pytest.raises(InvalidParameter, match="tag can't be used"):
        await pull(library, f"{fake.host}/x:1", all_tags=True)


async def test_a_bearer_token_is_asked_for_once_and_renewed_when_it_expires(library, fake, layers):
    fake.add("x", "latest", layers)
    fake.token = "first"
    served = 0

    async def expire(request, _body):
        nonlocal served
        served += 1
        if served == 2:
            fake.token = "second"
            return fake._challenge()
        return None

    fake.on_blob = expire
    await pull(library, f"{fake.host}/x", credentials=Credentials(username="u", password="p"))
    assert 2 <= fake.tokens_given <= 5
    assert find(library, f"{fake.host}/x")
    basic = [headers for _, path, headers in fake.requests if path.startswith("/token")]
    assert all(headers["Authorization"].startswith("Basic ") for headers in basic)
    assert "scope=repository%3Ax%3Apull" in fake.paths()[1] or "scope=repository:x:pull" in fake.paths()[1]


async def test_a_wrong_password_and_a_missing_one_are_told_as_docker_tells_them(
    library, fake, private_registry, layers
):
    fake.add("x", "latest", layers)
    fake.token = "t"
    with pytest.raises(
        RegistryError, match=r'Head "http.*/v2/x/manifests/latest": unauthorized: incorrect username or password'
    ):
        await pull(library, f"{fake.host}/x")
    with pytest.raises(RegistryError, match=r'Head "http://.*/v2/x/manifests/latest": no basic auth credentials'):
        await pull(library, f"{private_registry}/x")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "MANIFEST_UNKNOWN", "manifest for {0}/x:nope not found: manifest unknown: m"),
        (404, "NAME_UNKNOWN", "repository {0}/x not found: name unknown: m"),
        (
            403,
            "DENIED",
            "pull access denied for {0}/x, repository does not exist or may require 'docker login': denied: m",
        ),
    ],
)
async def test_a_registrys_refusals_have_dockers_words(library, fake, status, code, words):
    async def refuse(_request):
        return web.json_response({"errors": [{"code": code, "message": "m"}]}, status=status)

    fake.on_manifest = refuse
    with pytest.raises(NotFound) as error:
        await pull(library, f"{fake.host}/x:nope")
    assert str(error.value) == words.format(fake.host)


async def test_nobody_there_is_told_as_go_tells_it(library):
    with pytest.raises(RegistryError) as error:
        await pull(library, "127.0.0.1:1/x")
    assert str(error.value) == 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'


async def test_an_altered_layer_is_refused_at_once_and_leaves_nothing(library, fake, layers):
    fake.add("x", "latest", layers[1:2])
    asked = 0

    async def alter(_request, body):
        nonlocal asked
        asked += 1
        return web.Response(body=bytes([body[0], body[1] ^ 1, *body[2:]])) if len(body) > 1000 else None

    fake.on_blob = alter
    with pytest.raises(EngineError, match="filesystem layer verification failed for digest sha256:"):
        await pull(library, f"{fake.host}/x")
    assert asked == 2  # the configuration, and the layer once
    nothing_is_half_there(library)
    assert list((library.content.root / "ingest").iterdir()) == []


async def test_layers_that_the_configuration_does_not_name_are_refused_before_the_name(library, fake, layers, tools):
    fake.add("x", "latest", layers[:1], broken_diff_ids=["sha256:" + "0" * 64])
    with pytest.raises(EngineError, match="layers from manifest don't match image configuration"):
        await pull(library, f"{fake.host}/x")
    fake.add("y", "latest", layers[:1], broken_diff_ids=[tools.digest(layer) for layer in layers])
    with pytest.raises(EngineError, match="layers from manifest don't match image configuration"):
        await pull(library, f"{fake.host}/y")
    nothing_is_half_there(library)


async def test_a_manifest_that_is_not_what_its_digest_says_is_refused(library, fake, layers):
    digest = fake.add("x", "latest", layers)
    kind, body = fake.manifests["x", "latest"]

    async def lie(_request):
        return web.Response(body=body + b" ", headers={"Docker-Content-Digest": digest, "Content-Type": kind})

    fake.on_manifest = lie
    for name in (f"{fake.host}/x", f"{fake.host}/x@{digest}"):
        with pytest.raises(EngineError, match="manifest verification failed for digest"):
            await pull(library, name)
    nothing_is_half_there(library)


async def test_manifests_of_two_minds_and_of_schema_1_are_refused(library, fake):
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 1}
    kind = "application/vnd.oci.image.manifest.v1+json"
    both = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [], "manifests": []}
    fake.add_manifest("x", "both", both)
    fake.add_manifest("x", "old", {"schemaVersion": 1, "name": "x", "fsLayers": []})
    artifact = {**both, "config": {**config, "mediaType": "application/vnd.cncf.helm.config.v1+json"}}
    del artifact["manifests"]
    fake.add_manifest("x", "artifact", artifact)
    for tag, why in (
        ("both", "ambiguous"),
        ("old", f"Suggest the author of {fake.host}/x:old to upgrade the image"),
        ("artifact", "not a container image"),
    ):
        with pytest.raises(InvalidParameter, match=why):
            await pull(library, f"{fake.host}/x:{tag}")


async def test_huge_documents_are_not_read_to_their_end(library, fake):
    async def endless(_request):
        return web.Response(
            body=b" " * 5_000_000, headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        )

    fake.on_manifest = endless
    with pytest.raises(EngineError, match="larger than 4194304 bytes"):
        await pull(library, f"{fake.host}/x")


async def cut_off(request, body, at):
    """Send a beginning, then close the connection."""
    answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await answer.prepare(request)
    await answer.write(body[:at])
    request.transport.close()
    return answer


async def test_a_broken_connection_is_resumed_where_it_broke(library, fake, layers, tools):
    fake.add("x", "latest", layers[1:2], compress=bytes)
    broken = []

    async def once(request, body):
        if len(body) > 100_000 and not broken:
            broken.append(True)
            return await cut_off(request, body, 1_500_000)
        return None

    fake.on_blob = once
    messages = tools.messages()
    await pull(library, f"{fake.host}/x", report=messages)
    ranges = [headers["Range"] for _, path, headers in fake.requests if "Range" in headers]
    assert len(ranges) == 1
    assert 0 < int(ranges[0].removeprefix("bytes=").removesuffix("-")) <= 1_500_000
    assert [m.status for m in messages if "Retrying" in m.status] == [
        f"Retrying in {n} second{'s' * (n > 1)}" for n in (5, 4, 3, 2, 1)
    ]
    assert find(library, f"{fake.host}/x")


async def test_a_connection_that_always_breaks_gets_five_attempts_and_keeps_its_progress(library, fake, layers):
    fake.add("x", "latest", layers[1:2], compress=bytes)
    attempts = 0

    async def always(request, body):
        nonlocal attempts
        if len(body) < 100_000:
            return None
        attempts += 1
        return await cut_off(request, body, 1000)

    fake.on_blob = always
    with pytest.raises(RegistryError, match="unexpected EOF"):
        await pull(library, f"{fake.host}/x")
    assert attempts == 5
    assert sum(library.registries.clock.slept) == 5 + 10 + 15 + 20
    nothing_is_half_there(library)
    assert len(list((library.content.root / "ingest").iterdir())) == 1


async def test_a_registry_without_ranges_is_begun_anew(library, fake, layers):
    fake.add("x", "latest", layers[1:2], compress=bytes)
    broken = []

    async def no_ranges(request, body):
        if len(body) > 100_000 and not broken:
            broken.append(True)
            return await cut_off(request, body, 1_500_000)
        return web.Response(body=body)

    fake.on_blob = no_ranges
    await pull(library, f"{fake.host}/x")
    assert find(library, f"{fake.host}/x")


async def test_a_half_damaged_by_a_power_cut_is_found_out_and_fetched_again(library, fake, layers):
    fake.add("x", "latest", layers[1:2], compress=bytes)
    digest = json.loads(fake.manifests["x", "latest"][1])["layers"][0]["digest"]
    with library.content.resume(digest) as ingest:
        ingest.write(b"\0" * 4096)
    await pull(library, f"{fake.host}/x")
    assert find(library, f"{fake.host}/x")


@pytest.mark.parametrize("times", [1, 99])
async def test_an_ailing_registry_is_tried_again(library, fake, layers, times):
    fake.add("x", "latest", layers[:1])
    left = times

    async def ail(request, body):
        nonlocal left
        left -= 1
        if "config" in fake.manifests and left < 0:
            return None
        return web.Response(status=500) if left >= 0 and len(body) != len(fake_config) else None

    fake_config = fake.blobs[json.loads(fake.manifests["x", "latest"][1])["config"]["digest"]]
    fake.on_blob = ail
    if times == 1:
        await pull(library, f"{fake.host}/x")
        return
    with pytest.raises(RegistryError, match="received unexpected HTTP status: 500 Internal Server Error"):
        await pull(library, f"{fake.host}/x")
    nothing_is_half_there(library)


async def test_a_registry_that_asks_for_patience_gets_it_within_bounds(library, fake, layers):
    fake.add("x", "latest", layers[:1])
    waits = ["7", "3600"]

    async def busy(_request):
        if not waits:
            return None
        headers = {"Retry-After": waits.pop(0)}
        return web.json_response(
            {"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}, status=429, headers=headers
        )

    fake.on_manifest = busy
    with pytest.raises(RegistryError, match="toomanyrequests"):
        await pull(library, f"{fake.host}/x")
    assert library.registries.clock.slept == [7.0]
    await pull(library, f"{fake.host}/x")


async def test_a_redirect_is_followed_and_not_told_the_password(library, fake, layers, serve):
    fake.add("x", "latest", layers)
    fake.token = "secret"
    elsewhere = []

    async def store(request):
        elsewhere.append(dict(request.headers))
        return fake.ranged(request, fake.blobs[request.path.strip("/")])

    port = await serve(store)

    async def redirect(request, _body):
        return web.Response(
            status=307, headers={"Location": f"http://localhost:{port}/{request.path.rpartition('/')[2]}"}
        )

    fake.on_blob = redirect
    await pull(library, f"{fake.host}/x", credentials=Credentials(username="u", password="p"))
    assert len(elsewhere) == 4
    assert not any("Authorization" in headers for headers in elsewhere)


async def test_a_redirect_to_nowhere_fails_clearly(library, fake, layers):
    fake.add("x", "latest", layers[:1])

    async def away(_request, _body):
        return web.Response(status=302, headers={"Location": "file:///etc/passwd"})

    fake.on_blob = away
    with pytest.raises(RegistryError, match="unsupported protocol scheme"):
        await pull(library, f"{fake.host}/x")


@pytest.mark.parametrize("lie", [-1000, 1000])
async def test_a_manifest_that_lies_about_a_size_is_found_out(library, fake, layers, lie):
    fake.add("x", "latest", layers[1:2])
    manifest = json.loads(fake.manifests["x", "latest"][1])
    manifest["layers"][0]["size"] += lie
    fake.add_manifest("x", "latest", manifest)
    with pytest.raises(RegistryError):
        await pull(library, f"{fake.host}/x")
    nothing_is_half_there(library)


async def test_a_cancelled_pull_hangs_up_keeps_what_it_has_and_goes_on_later(library, fake, layers):
    fake.add("x", "latest", layers[1:2], compress=bytes)
    hung_up = asyncio.Event()

    async def slow(request, body):
        if len(body) < 100_000 or "Range" in request.headers:
            return None
        answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await answer.prepare(request)
        await answer.write(body[:1_600_000])
        try:
            while not request.transport.is_closing():  # noqa: ASYNC110 - aiohttp tells a handler of no hang-up
                await asyncio.sleep(0.01)
        finally:
            hung_up.set()
        return answer

    fake.on_blob = slow
    arrived = asyncio.Event()

    def watch(progress):
        if progress.status == "Downloading" and progress.current >= 1_048_576:
            arrived.set()

    pulling = asyncio.create_task(pull(library, f"{fake.host}/x", report=watch))
    await arrived.wait()
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    await asyncio.wait_for(hung_up.wait(), 5)
    nothing_is_half_there(library)
    await pull(library, f"{fake.host}/x")
    assert any("Range" in headers for _, _, headers in fake.requests)


async def test_two_pulls_of_one_image_fetch_each_layer_once(library, fake, layers):
    fake.add("x", "latest", layers)
    fake.add("y", "latest", layers)
    await asyncio.gather(*(pull(library, f"{fake.host}/{name}") for name in "xyxy"))
    blobs = [path for path in fake.paths() if "/blobs/" in path]
    layer_digests = {layer["digest"] for layer in json.loads(fake.manifests["x", "latest"][1])["layers"]}
    fetched = [path.rpartition("/")[2] for path in blobs if path.rpartition("/")[2] in layer_digests]
    assert len(fetched) == len(set(fetched)) == 3


async def test_a_bomb_is_stopped_by_the_free_space(make_library, fake, tools, monkeypatch):
    library = make_library("small")
    fake.add("x", "latest", [tools.tar({"zeros": bytes(50_000_000)})])
    found = os.statvfs(library.content.root)
    free = iter([1 << 40, 1 << 40, *[0] * 100])  # before the download, at the first bytes, and from then on
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result((1, 1, 1, 1, next(free), *found[5:])))
    with pytest.raises(EngineError, match="no space left on device"):
        await pull(library, f"{fake.host}/x")
    nothing_is_half_there(library)


async def test_what_cannot_fit_is_not_begun(library, fake, layers):
    fake.add("x", "latest", layers[:1])
    manifest = json.loads(fake.manifests["x", "latest"][1])
    manifest["layers"][0]["size"] = 1 << 60
    fake.add_manifest("x", "latest", manifest)
    with pytest.raises(EngineError, match="no space left on device"):
        await pull(library, f"{fake.host}/x")
    assert len([path for path in fake.paths() if "/blobs/" in path]) == 1


async def test_an_image_of_another_system_is_refused(library, fake, layers):
    fake.add("x", "latest", layers[:1], config={"os": "windows"})
    with pytest.raises(InvalidParameter, match='image operating system "windows" cannot be used on this platform'):
        await pull(library, f"{fake.host}/x")


async def test_mirrors_serve_docker_io_and_are_not_told_the_password(make_library, fake, layers):
    library = make_library("mirrored", options=RegistryOptions(mirrors=("http://127.0.0.1:1", f"http://{fake.host}/")))
    fake.add("library/busybox", "latest", layers[:1])
    await pull(library, "busybox", credentials=Credentials(username="u", password="p"))
    assert find(library, "busybox").references == ("busybox:latest",)
    assert not any("Authorization" in headers for _, _, headers in fake.requests)
