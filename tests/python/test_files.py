"""Files of containers by the library: as bytes, as copies, as archives; and images made of them."""

import io
import tarfile

import pytest

import wherry

SLEEP = ["sleep", "1000"]


@pytest.fixture
def container(client):
    with client.run("busybox", SLEEP) as made:
        yield made


def test_a_file_is_written_read_and_described(container):
    container.write_file("/tmp/note", "grüße", mode=0o600, uid=1000, gid=1000)
    assert container.read_file("/tmp/note") == "grüße".encode()
    assert container.exec(["stat", "-c", "%a %u %g %s", "/tmp/note"]).text == "600 1000 1000 7\n"
    status = container.path_status("/tmp/note")
    assert (status.name, status.size, status.permissions, status.is_directory) == ("note", 7, 0o600, False)
    assert container.path_status("/tmp").is_directory
    container.exec("ln -s /tmp/note /tmp/link", check=True)
    assert container.path_status("/tmp/link").link_target == "/tmp/note"
    container.write_file("/top", b"x")
    container.stop(0)
    assert container.read_file("/top") == b"x"


def test_what_is_not_there_is_not_found(container):
    for ask in (container.read_file, container.get_archive, container.path_status):
        with pytest.raises(wherry.NotFound):
            ask("/no/such/file")
    with pytest.raises(IsADirectoryError):
        container.read_file("/tmp")
    with pytest.raises(wherry.NotFound):
        container.write_file("/no/such/file", b"")


def test_trees_are_copied_in_and_out(container, tmp_path):
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "below/file").write_bytes(b"x" * 3_000_000)
    (source / "link").symlink_to("below/file")
    container.copy_in(source, "/tmp")
    assert container.exec("find /tmp/source").text.split() == [
        "/tmp/source", "/tmp/source/below", "/tmp/source/below/file", "/tmp/source/link",
    ]  # fmt: skip
    copied = container.copy_out("/tmp/source", tmp_path / "out")
    assert copied == tmp_path / "out/source"
    assert (copied / "link").read_bytes() == b"x" * 3_000_000
    with pytest.raises(FileNotFoundError):
        container.copy_in(tmp_path / "none", "/tmp")


def test_what_leads_out_of_the_directory_is_not_unpacked(container, tmp_path):
    container.exec("ln -s /etc/passwd /tmp/outside", check=True)
    with pytest.raises(tarfile.TarError):
        container.copy_out("/tmp/outside", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_archives_stream(container):
    with container.get_archive("/bin/busybox") as archive:
        assert archive.status.name == "busybox"
        assert sum(map(len, archive)) > archive.status.size
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    container.put_archive("/tmp", iter([out.getvalue()[:100], out.getvalue()[100:]]))
    assert container.exec("ls /tmp").text == "empty\n"
    with pytest.raises(wherry.ApiError):
        container.put_archive("/bin/busybox", out.getvalue())


def test_unpacked_files_can_be_made_the_users(client):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    with client.run("busybox", SLEEP, user="1000:1000") as container:
        container.put_archive("/tmp", out.getvalue(), chown=True)
        assert container.exec("stat -c %u:%g /tmp/empty").text == "1000:1000\n"


def test_what_a_container_changed_becomes_an_image(client, container):
    container.exec("touch /new", check=True)
    container.exec("rm /etc/group", check=True)
    assert {(change.letter, change.path) for change in container.diff()} == {
        ("A", "/new"),
        ("C", "/etc"),
        ("D", "/etc/group"),
    }
    made = container.commit("mine", "2", message="why", author="me", changes=['CMD ["ls", "/new"]'])
    info = client.images.get("mine:2")
    assert (info.id, info.comment, info.author, info.config.command) == (made, "why", "me", ("ls", "/new"))
    assert client.call("mine:2").text == "/new\n"
    with container.export() as archive, tarfile.open(fileobj=io.BytesIO(archive.read())) as opened:
        assert {"new", "bin/busybox"} <= {name.removeprefix("./") for name in opened.getnames()}
    client.images.remove("mine:2")


def test_what_is_not_needed_is_pruned(client, container, busybox_tar):
    stopped = client.containers.create("busybox", "true", labels={"old": ""}, volumes=["/data"])
    assert client.containers.prune(filters={"label": "other"}).removed == ()
    assert client.containers.prune(filters={"label": "old"}).removed == (stopped.id,)
    assert len(client.volumes.prune().removed) == 1
    unnamed = client.images.import_(busybox_tar, changes=["ENV A=1"])
    pruned = client.images.prune()
    assert unnamed in pruned.removed
    assert client.images.exists("busybox")


async def test_files_in_asyncio(aclient, tmp_path):
    async with await aclient.run("busybox", SLEEP) as container:
        await container.write_file("/tmp/note", b"data")
        assert await container.read_file("/tmp/note") == b"data"
        (tmp_path / "more").write_bytes(b"y" * 1_000_000)
        await container.copy_in(tmp_path / "more", "/tmp")
        assert (await container.copy_out("/tmp/more", tmp_path / "out")).read_bytes() == b"y" * 1_000_000
