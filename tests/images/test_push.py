"""Pushing to registries, and back again, with other people's tools as witnesses."""

import gzip
import json

import pytest
from aiohttp import web

from wherry.images.find import find
from wherry.images.import_ import ImportRequest, import_image
from wherry.images.pull import pull
from wherry.images.push import push
from wherry.images.remove import remove
from wherry.images.tag import tag
from wherry.model.errors import InvalidParameter, NotFound, Unauthorized
from wherry.registry.credentials import Credentials
from wherry.registry.errors import RegistryError

LOGIN = Credentials(username="wherry", password="secret")


@pytest.fixture
def tar(tools):
    return tools.tar({"hello": b"world" * 100_000})


async def make_image(library, tools, tar, name):
    repository, _, version = name.rpartition(":")
    return await import_image(library, tools.body(tar), ImportRequest(repository=repository, tag=version))


async def test_what_is_pushed_can_be_pulled_and_is_the_same(library, make_library, registry, tools, tar):
    name = f"{registry}/round/trip:1"
    image = await make_image(library, tools, tar, name)
    messages = tools.messages()
    await push(library, name, report=messages)
    short = image.layers[0].diff_id[7:19]
    pushed = find(library, name)
    digest = pushed.digests[0].partition("@")[2]
    assert messages.lines() == [
        f"The push refers to repository [{registry}/round/trip]",
        f"{short}: Preparing",
        f"{short}: Pushed",
        f"1: digest: {digest} size: {messages[-1].aux['Size']}",
    ]
    assert messages[-1].aux == {"Tag": "1", "Digest": digest, "Size": messages[-1].aux["Size"]}
    assert pushed.id == image.id
    other = make_library("other")
    await pull(other, name)
    assert find(other, name).id == image.id
    assert find(other, name).digests == pushed.digests
    seen = tools.run(["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"])
    assert json.loads(seen)["Digest"] == digest


async def test_a_second_push_sends_nothing(library, registry, tools, tar):
    name = f"{registry}/twice:1"
    await make_image(library, tools, tar, name)
    await push(library, name)
    messages = tools.messages()
    await push(library, name, report=messages)
    assert messages.lines()[2].endswith("Layer already exists")


async def test_a_pulled_image_is_pushed_with_its_digest_kept(library, fake, registry, tools, tar):
    digest = fake.add("x", "1", [tar])
    await pull(library, f"{fake.host}/x:1")
    await tag(library, f"{fake.host}/x:1", repository=f"{registry}/kept", tag="1")
    await push(library, f"{registry}/kept:1")
    assert f"{registry}/kept@{digest}" in find(library, f"{registry}/kept:1").digests


async def test_all_tags_are_pushed_when_none_is_said(library, registry, tools, tar):
    await make_image(library, tools, tar, f"{registry}/many:1")
    await tag(library, f"{registry}/many:1", repository=f"{registry}/many", tag="2")
    messages = tools.messages()
    await push(library, f"{registry}/many", report=messages)
    assert [m.aux["Tag"] for m in messages if m.aux] == ["1", "2"]


async def test_a_password_opens_a_private_registry_and_a_wrong_one_does_not(library, private_registry, tools, tar):
    name = f"{private_registry}/mine:1"
    await make_image(library, tools, tar, name)
    with pytest.raises(RegistryError, match="no basic auth credentials"):
        await push(library, name)
    with pytest.raises(RegistryError, match="unauthorized: authentication required"):
        await push(library, name, credentials=Credentials(username="wherry", password="wrong"))
    await push(library, name, credentials=LOGIN)
    await pull(library, name, credentials=LOGIN)


async def test_a_login_is_checked(library, private_registry):
    await library.registries.check_login(private_registry, LOGIN)
    with pytest.raises(Unauthorized, match=r"login attempt to http://.*/v2/ failed with status: 401 Unauthorized"):
        await library.registries.check_login(private_registry, Credentials(username="wherry", password="no"))


async def test_what_is_not_here_cannot_be_pushed(library, registry, tools, tar):
    with pytest.raises(NotFound, match=f"An image does not exist locally with the tag: {registry}/none"):
        await push(library, f"{registry}/none:1")
    await make_image(library, tools, tar, f"{registry}/some:1")
    with pytest.raises(NotFound, match=f"tag does not exist: {registry}/some:2"):
        await push(library, f"{registry}/some:2")
    with pytest.raises(InvalidParameter):
        await push(library, f"{registry}/some@sha256:" + "0" * 64)


async def test_a_layer_that_a_neighbour_has_is_mounted(library, fake, tools, tar):
    fake.add("base", "1", [tar])
    layer = json.loads(fake.manifests["base", "1"][1])["layers"][0]["digest"]
    await pull(library, f"{fake.host}/base:1")
    await tag(library, f"{fake.host}/base:1", repository=f"{fake.host}/derived", tag="1")
    blob = fake.blobs.pop(layer)
    fake.mounts.add(("base", layer))
    messages = tools.messages()
    await push(library, f"{fake.host}/derived:1", report=messages)
    assert messages.lines()[2].endswith("Mounted from base")
    assert gzip.decompress(blob) == tar


async def test_an_upload_that_breaks_is_gone_on_with(library, fake, tools, tar):
    await make_image(library, tools, tar, f"{fake.host}/x:1")
    broken = []
    upload = fake._upload

    async def break_once(request, repository):
        if request.method == "PATCH" and not broken:
            broken.append(True)
            name = request.path.rpartition("/")[2]
            fake.uploads[name] += (await request.content.readexactly(100))[:100]
            request.transport.close()
            return web.Response()
        if request.method == "GET":
            return fake._accepted(repository, request.path.rpartition("/")[2])
        return await upload(request, repository)

    fake._upload = break_once
    await push(library, f"{fake.host}/x:1")
    await remove(library, f"{fake.host}/x:1", users={}, force=True)
    await pull(library, f"{fake.host}/x:1")


async def test_pushing_leaves_one_copy_of_each_layer_and_removal_leaves_none(library, registry, tools, tar):
    name = f"{registry}/clean:1"
    await make_image(library, tools, tar, name)
    await push(library, name)
    image = find(library, name)
    assert set(library.content.digests()) == {image.id, image.manifest, image.layers[0].blob}
    await remove(library, name, users={})
    assert list(library.content.digests()) == []
