"""Archives and registries whose JSON is spoiled at random places: refused as errors of the engine, or harmless."""

import contextlib
import copy
import json
import random

import pytest

from wherry.images.load import load
from wherry.images.pull import pull
from wherry.images.save import save
from wherry.model.errors import EngineError

ROUNDS = 150
LONG = pytest.param(3000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])
JUNK = (
    *(None, True, 0, -1, 7, 1 << 31, 1 << 63, -(1 << 63), 1 << 200, 1e308, -0.5, "", "x", "\0", "\ud800", "../../x"),
    *("/etc", "sha256:" + "0" * 64, "x:y", "é" * 300, [], [None], [[]], {}, {"": ""}, {"mediaType": 5}, ["x"] * 50),
)  # fmt: skip


def spoil(value, chance):
    """A copy of a JSON value with one to three places changed: junk, gone, doubled, or of another key's kind."""
    made = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(made))
        holder, key = chance.choice(places)
        match chance.randrange(4):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case 2:
                holder[key] = copy.deepcopy(chance.choice(places)[0])
            case _:
                holder[key] = copy.deepcopy(chance.choice(JUNK))
        if not list(_places(made)):
            return made
    return made


def _places(value):
    if isinstance(value, dict | list):
        for key, each in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(each)


def text_of(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize("rounds", [ROUNDS, LONG])
@pytest.mark.parametrize("form", ["docker", "layout"])
async def test_a_spoiled_archive_is_refused_or_harmless(library, tools, rounds, form):
    layer = tools.tar({"f": b"1"})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "history": [{"created_by": "x"}],
    }
    config |= {"config": {"Env": ["A=1"], "Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}}}
    config["rootfs"] = {"type": "layers", "diff_ids": [tools.digest(layer)]}
    chance = random.Random(form)
    for _ in range(rounds):
        files = archive(tools, layer, config, chance, form)
        with contextlib.suppress(EngineError):
            for image in await load(library, tools.body(tools.tar(files))):
                # What was taken in can be given on.
                await tools.collect(await save(library, [image]))


def archive(tools, layer, config, chance, form):
    """The files of an archive in which one document is spoiled."""
    spoiled = chance.randrange(3)
    body = text_of(spoil(config, chance) if spoiled == 0 else config)
    if form == "docker":
        manifest = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["l.tar"]}]
        manifest = manifest if spoiled == 0 else spoil(manifest, chance)
        return {"c.json": body, "l.tar": layer, "manifest.json": text_of(manifest)}
    blobs = {tools.digest(each): each for each in (body, layer)}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    manifest["config"] = described(tools, "application/vnd.oci.image.config.v1+json", body)
    manifest["layers"] = [described(tools, "application/vnd.oci.image.layer.v1.tar", layer)]
    text = text_of(spoil(manifest, chance) if spoiled == 1 else manifest)
    blobs[tools.digest(text)] = text
    entry = described(tools, manifest["mediaType"], text) | {
        "annotations": {"org.opencontainers.image.ref.name": "x:1"}
    }
    index = {"schemaVersion": 2, "manifests": [entry]}
    files = {f"blobs/{digest.replace(':', '/')}": each for digest, each in blobs.items()}
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    return files | {"index.json": text_of(spoil(index, chance) if spoiled == 2 else index)}


def described(tools, kind, data):
    return {"mediaType": kind, "digest": tools.digest(data), "size": len(data)}


@pytest.mark.parametrize("rounds", [ROUNDS, LONG])
async def test_a_spoiled_manifest_of_a_registry_is_refused_or_harmless(library, fake, tools, rounds):
    """CVE-2021-21285."""
    fake.add("x", "latest", [tools.tar({"f": b"1"})])
    kind, body = fake.manifests["x", "latest"]
    manifest, chance = json.loads(body), random.Random(1)
    for _ in range(rounds):
        fake.manifests["x", "latest"] = (kind, text_of(spoil(manifest, chance)))
        with contextlib.suppress(EngineError):
            await pull(library, f"{fake.host}/x")
