"""Message by message, what clients read from us and from a real dockerd is the same."""

import json

import aiohttp
import pytest

from wherry.images.import_ import ImportRequest, import_image
from wherry.images.load import load
from wherry.images.progress import as_message
from wherry.images.pull import pull
from wherry.images.push import push
from wherry.images.save import save
from wherry.images.tag import tag

pytestmark = pytest.mark.peer

TOLD = ("Pull", "Down", "Verif", "Extr", "Alr", "Prep", "Push", "Layer", "Load")

NEW = ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"]


def is_told_within(others, ours):
    """Whether all that dockerd said of a layer is said by us, in the same order.

    dockerd's watchers keep the newest message only (`Transfer.Watch` of its xfer package): of 150 pulls it left out one
    of NEW in 33, mostly "Verifying Checksum". We say every one of them every time.
    """
    left = iter(ours)
    return all(message in left for message in others)


async def theirs(docker, method, path, **options):
    """All messages of one verb of dockerd's."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(docker.socket)) as session,
        session.request(method, f"http://d{path}", **options) as answer,
    ):
        return [json.loads(line) for line in (await answer.read()).splitlines()]


def by_id(messages):
    """Per layer, the sequence of what is said without transfers; and the shape of each kind of message."""
    sequences, shapes = {}, {}
    for message in messages:
        # Whether one has to wait, and how often a transfer is told, is chance.
        if message.get("status") == "Waiting":
            continue
        detail = message.get("progressDetail")
        kind = (message.get("status", ""), bool(detail))
        keys = tuple(sorted(message)) + (tuple(sorted(detail)) if detail else ())
        if message.get("status", "").startswith(TOLD):
            shapes[kind] = keys
        if not detail:
            sequences.setdefault(message.get("id", ""), []).append(
                message.get("status") or message.get("stream") or "aux"
            )
    return sequences, shapes


async def test_pulls_are_told_alike(library, docker, fake, tools):
    fake.add("x", "1", [tools.tar({"f": bytes(range(256)) * 20_000}), tools.tar({"g": b"2"})], kind="docker")
    for expected in (NEW, ["Already exists"]):
        messages = tools.messages()
        await pull(library, f"{fake.host}/x:1", report=messages)
        ours, our_shapes = by_id(map(as_message, messages))
        others, shapes = by_id(await theirs(docker, "POST", f"/images/create?fromImage={fake.host}/x&tag=1"))
        assert ours.keys() == others.keys()
        for layer in ours.keys() - {"", "1"}:
            assert ours[layer] == expected
            assert is_told_within(others[layer], expected)
            assert others[layer][0] == expected[0]
            assert others[layer][-1] == expected[-1]
        assert (ours["1"], ours[""]) == (others["1"], others[""])
        assert {kind: keys for kind, keys in our_shapes.items() if kind in shapes} == {
            kind: keys for kind, keys in shapes.items() if kind in our_shapes
        }
        assert expected is not NEW or ("Downloading", True) in our_shapes


async def test_pushes_and_loads_are_told_alike(library, docker, registry, tools):
    tar = tools.tar({"f": bytes(range(256)) * 20_000})
    await import_image(library, tools.body(tar), ImportRequest(repository="alike"))
    archive = await tools.collect(await save(library, ["alike"]))
    messages = tools.messages()
    await load(library, tools.body(archive), report=messages)
    ours, _ = by_id(map(as_message, messages))
    headers = {"Content-Type": "application/x-tar"}
    others, _ = by_id(await theirs(docker, "POST", "/images/load", data=archive, headers=headers))
    assert ours == others

    for side in ("ours", "theirs"):
        await tag(library, "alike", repository=f"{registry}/{side}", tag="1")
    docker("tag", "alike", f"{registry}/theirs:1", check=True)
    for _ in range(2):
        messages = tools.messages()
        await push(library, f"{registry}/ours:1", report=messages)
        ours, our_shapes = by_id(map(as_message, messages))
        auth = {"X-Registry-Auth": "e30="}
        others, shapes = by_id(await theirs(docker, "POST", f"/images/{registry}/theirs/push?tag=1", headers=auth))
        assert set(ours) == set(others)
        layer = next(key for key in ours if key)
        assert ours[layer][-1] == others[layer][-1]
        assert is_told_within(others[layer], ours[layer])
        assert len(ours[""]) == len(others[""]) == 3
        assert {kind: keys for kind, keys in our_shapes.items() if kind in shapes} == {
            kind: keys for kind, keys in shapes.items() if kind in our_shapes
        }


async def test_refusals_are_told_alike(library, docker, registry, private_registry):
    for name, tag_ in ((f"{registry}/nope", "1"), (f"{private_registry}/x", "1"), ("127.0.0.1:1/x", "1")):
        found = await theirs(docker, "POST", f"/images/create?fromImage={name}&tag={tag_}")
        words = found[-1].get("message") or found[-1]["error"]
        with pytest.raises(Exception) as error:
            await pull(library, f"{name}:{tag_}")
        assert str(error.value) == words
