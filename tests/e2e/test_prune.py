"""`docker container prune` and its kin, sizes, and whose child a container is, by the real command line."""

import json
import time


def test_only_what_does_not_run_is_pruned(daemon):
    daemon.docker("run", "-d", "--name", "runs", "--network=none", "busybox", "sleep", "1000")
    daemon.docker("run", "-d", "--name", "rests", "--network=none", "busybox", "sleep", "1000")
    daemon.docker("pause", "rests")
    daemon.docker("create", "--name", "made", "busybox")
    daemon.docker("run", "--name", "ended", "--network=none", "busybox", "sh", "-c", "head -c 5000 /dev/zero >/f")
    ids = {name: daemon.out("inspect", "-f", "{{.Id}}", name) for name in ("made", "ended")}
    told = daemon.out("container", "prune", "-f").splitlines()
    assert told == ["Deleted Containers:", ids["ended"], ids["made"], "", "Total reclaimed space: 5kB"]
    assert sorted(daemon.out("ps", "-a", "--format", "{{.Names}}").split()) == ["rests", "runs"]
    daemon.docker("unpause", "rests")


def test_filters_choose_containers(daemon):
    for name in ("one", "two", "three"):
        daemon.docker("create", "--name", name, "--label", f"name={name}", "busybox")

    def left(*filters):
        daemon.docker("container", "prune", "-f", *(word for each in filters for word in ("--filter", each)))
        return sorted(daemon.out("ps", "-a", "--format", "{{.Names}}").split())

    assert left("until=1h") == left("label=nope") == left("label!=name") == ["one", "three", "two"]
    assert left("label=name=one") == ["three", "two"]
    assert left("label!=name=two") == ["two"]
    assert left(f"until={time.time() + 5:.0f}") == []
    for wrong, words in (
        ("foo=x", "invalid filter 'foo'"),
        ("until=x", 'failed to parse value as time or duration: "x"'),
    ):
        assert words in daemon.docker("container", "prune", "-f", "--filter", wrong, check=False).stderr


def test_volumes_that_somebody_named_go_only_when_all_shall(daemon):
    daemon.docker("volume", "create", "named")
    daemon.docker("volume", "create", "--label", "keep", "kept")
    daemon.docker("create", "--name", "cc", "-v", "/anonymous", "busybox")
    daemon.docker("rm", "cc")
    daemon.docker("create", "--name", "dd", "-v", "/used", "-v", "also:/also", "busybox")
    assert "Total reclaimed space: 0B" in daemon.out("volume", "prune", "-f")
    assert len(daemon.out("volume", "ls", "-q").split()) == 4
    daemon.docker("volume", "prune", "-f", "--all", "--filter", "label!=keep")
    assert {"also", "kept"} < set(daemon.out("volume", "ls", "-q").split())
    daemon.docker("volume", "prune", "-fa")
    assert "kept" not in daemon.out("volume", "ls", "-q").split()


def test_images_without_a_name_are_pruned_and_all_unused_ones_when_wished(daemon):
    daemon.docker("create", "--name", "cc", "busybox")
    nameless = daemon.out("commit", "cc")
    daemon.docker("run", "--name", "dd", "--network=none", "busybox", "sh", "-c", "head -c 5000 /dev/zero >/f")
    daemon.docker("commit", "--change", "LABEL a=b", "dd", "unused")
    assert f"deleted: {nameless}" in daemon.out("image", "prune", "-f")
    daemon.docker("image", "prune", "-fa", "--filter", "label!=a")
    assert daemon.out("images", "-q", "unused")
    told = daemon.out("image", "prune", "-fa")
    assert "untagged: unused:latest" in told
    assert "Total reclaimed space: 5kB" in told
    assert daemon.out("images", "-q", "busybox")


def test_a_whole_system_is_pruned(daemon):
    daemon.docker("create", "--name", "cc", "-v", "/anonymous", "busybox")
    told = daemon.out("system", "prune", "-f", "--volumes")
    assert "Deleted Containers:" in told
    assert "Deleted Volumes:" in told
    assert daemon.out("ps", "-aq") == ""


def test_sizes_are_what_was_written(daemon):
    daemon.docker(
        "run", "--name", "cc", "--network=none", "busybox", "sh", "-c", "head -c 5000 /dev/zero >/f; mkdir /d"
    )
    shown = json.loads(daemon.out("inspect", "-s", "cc"))[0]
    size = json.loads(daemon.out("image", "inspect", "busybox"))[0]["Size"]
    assert (shown["SizeRw"], shown["SizeRootFs"]) == (5000, size + 5000)
    assert daemon.out("ps", "-as", "--format", "{{.Size}}").startswith("5kB (virtual ")
    assert "5kB" in daemon.out("system", "df")
    assert "SizeRw" not in json.loads(daemon.out("inspect", "cc"))[0]


def test_a_container_descends_from_every_image_that_its_own_was_committed_from(daemon):
    daemon.docker("run", "--name", "first", "--network=none", "busybox", "touch", "/one")
    child = daemon.out("commit", "first", "child")
    daemon.docker("run", "--name", "second", "--network=none", "child", "touch", "/two")
    daemon.docker("commit", "second", "grandchild")
    daemon.docker("create", "--name", "third", "grandchild")

    def descendants(image):
        return sorted(daemon.out("ps", "-a", "--filter", f"ancestor={image}", "--format", "{{.Names}}").split())

    assert descendants("busybox") == ["first", "second", "third"]
    assert descendants("child") == descendants(child) == ["second", "third"]
    assert descendants("grandchild") == ["third"]
    assert descendants("nothing") == []
    daemon.docker("rm", "first", "second", "third")
    daemon.docker("rmi", "child", "grandchild")
