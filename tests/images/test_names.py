"""Finding, tagging, listing, removing: dockerd's rules and words."""

import pytest

from wherry.images.find import find
from wherry.images.garbage import prune_layers
from wherry.images.history import history
from wherry.images.import_ import ImportRequest, import_image
from wherry.images.list import Filters, layers_bytes, list_images, shared_bytes
from wherry.images.prune import prune
from wherry.images.pull import pull
from wherry.images.remove import Deleted, Untagged, User, remove
from wherry.images.save import save
from wherry.images.tag import tag
from wherry.model.errors import Conflict, InvalidParameter, NotFound

RUNNING = User(id="1" * 64, is_running=True)
STOPPED = User(id="2" * 64, is_running=False)


@pytest.fixture
def make(library, tools):
    async def make(repository, *, content=b"x", created="", tag="", **request):
        tar = tools.tar({"f": content})
        given = ImportRequest(repository=repository, tag=tag, created=created, **request)
        return await import_image(library, tools.body(tar), given)

    return make


async def test_an_image_is_found_by_name_digest_id_and_the_beginning_of_its_id(library, make):
    image = await make("a/b", tag="1")
    digits = image.id.partition(":")[2]
    for name in ("a/b:1", "docker.io/a/b:1", image.id, digits, digits[:12], digits[:4], "sha256:" + digits[:12]):
        assert find(library, name).id == image.id
    for name, shown in (("a/b", "a/b:latest"), ("nope", "nope:latest"), ("sha256:" + "0" * 64,) * 2, ("0" * 63,) * 2):
        with pytest.raises(NotFound) as error:
            find(library, name)
        assert str(error.value) == f"No such image: {shown}" + (":latest" if shown == "0" * 63 else "")
    with pytest.raises(InvalidParameter, match="invalid reference format"):
        find(library, "///")


async def test_a_name_is_preferred_to_the_beginning_of_an_id_and_two_candidates_are_none(library, make):
    first = await make("one", content=b"1")
    short = first.id.partition(":")[2][:6]
    second = await make(short, content=b"2")
    assert find(library, short).id == second.id
    for number in range(17):
        await make("", content=b"%d" % number)
    digits = [image.id.partition(":")[2][0] for image in library.images.values()]
    with pytest.raises(NotFound):
        find(library, next(digit for digit in digits if digits.count(digit) > 1))


async def test_an_image_is_saved_for_its_own_platform_only(library, make):
    await make("x", platform="linux/arm64")
    archive = await save(library, ["x"], platform="linux/arm64")
    assert [piece async for piece in archive]
    with pytest.raises(InvalidParameter, match="no suitable export target found for platform linux/amd64"):
        await save(library, ["x"], platform="linux/amd64")


async def test_images_of_one_second_have_an_order(library, make):
    for name in ("first", "second", "third"):
        await make(name, content=name.encode())
    for filters, wanted in [
        (Filters(before=("second",)), {"first:latest"}),
        (Filters(since=("second",)), {"third:latest"}),
        (Filters(since=("first",), before=("third",)), {"second:latest"}),
    ]:
        assert {name for image in list_images(library, filters=filters) for name in image.references} == wanted


async def test_a_tag_moves_and_leaves_the_other_image_without_a_name(library, make, library_events):
    first, second = await make("x", content=b"1"), await make("y", content=b"2")
    await tag(library, "y", repository="x")
    assert find(library, "x").id == second.id
    assert find(library, first.id).references == ()
    assert ("tag", second.id, "x:latest") in [(e.action, e.actor_id, e.attributes["name"]) for e in library_events]


async def test_what_may_not_be_a_tag_is_refused(library, make):
    await make("x")
    for repository, version, why in (
        ("x@sha256:" + "0" * 64, "", "cannot import digest reference"),
        ("sha256", "abc", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("X", "", "must be lowercase"),
        ("x", "a b", "invalid tag format"),
    ):
        with pytest.raises(InvalidParameter, match=why):
            await tag(library, "x", repository=repository, tag=version)
    with pytest.raises(NotFound):
        await tag(library, "nope", repository="y")


async def test_a_name_goes_first_and_the_image_with_its_last_name(library, make, library_events):
    image = await make("x")
    await tag(library, "x", repository="y")
    assert await remove(library, "x", users={}) == [Untagged("x:latest")]
    assert await remove(library, "y", users={}) == [
        Untagged("y:latest"),
        Deleted(image.id),
        Deleted(image.layers[0].chain_id),
    ]
    assert [event.action for event in library_events][-3:] == ["untag", "untag", "delete"]
    assert list(library.storage.keys()) == []
    assert list(library.content.digests()) == []


async def test_digests_go_with_the_last_tag_of_their_repository(library, fake, tools):
    digest = fake.add("x", "1", [tools.tar({"f": b"1"})])
    await pull(library, f"{fake.host}/x:1")
    removed = await remove(library, f"{fake.host}/x:1", users={})
    assert removed[:2] == [Untagged(f"{fake.host}/x:1"), Untagged(f"{fake.host}/x@{digest}")]
    assert library.tags.values() == []


async def test_by_its_id_an_image_goes_with_all_names_of_one_repository_only(library, make):
    image = await make("x")
    assert (await remove(library, image.id[7:19], users={}))[0] == Untagged("x:latest")
    image = await make("x")
    await tag(library, "x", repository="y")
    with pytest.raises(Conflict) as error:
        await remove(library, image.id, users={})
    short = image.id[7:19]
    assert str(error.value) == (
        f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    )
    removed = await remove(library, image.id, users={}, force=True)
    assert removed[:3] == [Untagged("x:latest"), Untagged("y:latest"), Deleted(image.id)]


async def test_a_running_container_keeps_its_image_whatever_the_force(library, make):
    image = await make("x")
    short, users = image.id[7:19], {image.id: [RUNNING]}
    with pytest.raises(Conflict) as error:
        await remove(library, "x", users=users)
    assert str(error.value) == (
        'conflict: unable to remove repository reference "x" (must force) - container 111111111111 is using '
        f"its referenced image {short}"
    )
    with pytest.raises(Conflict) as error:
        await remove(library, image.id, users=users, force=True)
    assert str(error.value) == (
        f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container 111111111111"
    )
    assert await remove(library, "x", users=users, force=True) == [Untagged("x:latest")]
    assert library.images.get(image.id)


async def test_a_stopped_containers_image_goes_by_force_and_its_layers_later(library, make):
    image = await make("x")
    users = {image.id: [STOPPED]}
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is being used by stopped container 222222222222"):
        await remove(library, image.id, users=users)
    library.storage.prepare("container", image.chain_id)
    removed = await remove(library, "x", users=users, force=True)
    assert removed == [Untagged("x:latest"), Deleted(image.id)]
    assert library.storage.exists(image.chain_id)
    library.storage.remove("container")
    assert await prune_layers(library) == [image.chain_id]


async def test_one_of_several_names_goes_even_while_a_container_runs(library, make):
    image = await make("x")
    await tag(library, "x", repository="x", tag="2")
    assert await remove(library, "x:2", users={image.id: [RUNNING]}) == [Untagged("x:2")]


async def test_shared_layers_stay_for_the_other_image(library, make):
    first, second = await make("x", changes=("ENV A=1",)), await make("y", changes=("ENV A=2",))
    assert first.chain_id == second.chain_id
    removed = await remove(library, "x", users={})
    assert Deleted(first.chain_id) not in removed
    assert library.storage.exists(second.chain_id)
    assert set(library.content.digests()) == {second.id, second.manifest, second.layers[0].blob}
    assert shared_bytes(library) == {second.id: 0}


async def test_what_is_not_here_cannot_be_removed(library):
    with pytest.raises(NotFound, match="No such image: x:latest"):
        await remove(library, "x", users={})


async def test_images_are_listed_newest_first_and_filtered(library, make):
    await make("old", content=b"1", created="2020-01-01T00:00:00Z", changes=("LABEL a=1 b=2",))
    await make("mid/dle", content=b"2", created="2021-01-01T00:00:00Z", changes=("LABEL a=2",))
    await make("", content=b"3", created="2022-01-01T00:00:00Z")

    def names(**filters):
        return [(image.references or ("<none>",))[0] for image in list_images(library, filters=Filters(**filters))]

    assert names() == ["<none>", "mid/dle:latest", "old:latest"]
    assert names(dangling=True) == ["<none>"]
    assert names(dangling=False) == ["mid/dle:latest", "old:latest"]
    assert names(labels=("a",)) == ["mid/dle:latest", "old:latest"]
    assert names(labels=("a=1", "b")) == ["old:latest"]
    assert names(references=("old",)) == names(references=("*:latest",)) == ["old:latest"]
    assert names(references=("*/*",)) == ["mid/dle:latest"]
    assert names(before=("mid/dle",)) == ["old:latest"]
    assert names(since=("old",)) == ["<none>", "mid/dle:latest"]
    assert names(until_seconds=1609459200) == ["old:latest"]
    with pytest.raises(NotFound):
        names(since=("nope",))


async def test_shared_sizes_are_counted_once(library, make):
    await make("x", changes=("ENV A=1",))
    await make("y", changes=("ENV A=2",))
    image = find(library, "x")
    assert shared_bytes(library) == dict.fromkeys([image.id, find(library, "y").id], image.size_bytes)
    assert layers_bytes(library) == image.size_bytes


async def test_history_is_told_newest_first(library, fake, tools):
    steps = [
        {"created": "2020-01-01T00:00:00Z", "created_by": "ADD x", "comment": "c"},
        {"created": "2020-01-02T00:00:00Z", "created_by": "ENV y", "empty_layer": True},
        {"created": "2020-01-03T00:00:00Z", "created_by": "RUN z"},
    ]
    layers = [tools.tar({"a": b"1" * 1000}), tools.tar({"b": b"2" * 2000})]
    fake.add("x", "1", layers, config={"history": steps})
    await pull(library, f"{fake.host}/x:1")
    told = history(library, f"{fake.host}/x:1")
    assert [step.created_by for step in told] == ["RUN z", "ENV y", "ADD x"]
    assert [step.size_bytes > 0 for step in told] == [True, False, True]
    assert told[0].id == find(library, f"{fake.host}/x:1").id
    assert told[0].tags == (f"{fake.host}/x:1",)
    assert [step.id for step in told[1:]] == ["<missing>"] * 2
    assert told[0].created == 1578009600


async def test_prune_takes_what_has_no_name_and_with_all_what_no_container_needs(library, make):
    dangling, used, unused = (
        await make("", content=b"1"),
        await make("used", content=b"2"),
        await make("un", content=b"3"),
    )
    with library.content.resume("sha256:" + "0" * 64) as ingest:
        ingest.write(b"broken off")
    removed, freed = await prune(library, users={})
    assert Deleted(dangling.id) in removed
    assert freed == dangling.size_bytes
    assert library.content.unfinished() == []
    removed, _ = await prune(library, users={used.id: [STOPPED]}, named_too=True)
    assert Deleted(unused.id) in removed
    assert [image.id for image in library.images.values()] == [used.id]
