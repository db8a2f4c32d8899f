"""Bind mounts, volumes and tmpfs."""

import json
import os
import subprocess

import pytest


def run(daemon, *arguments, **options):
    return daemon.out("run", "--rm", *arguments, **options)


def test_a_bind_mount_both_ways(daemon, tmp_path):
    (tmp_path / "in").write_text("from host")
    assert (
        run(daemon, "-v", f"{tmp_path}:/data", "busybox", "sh", "-c", "cat /data/in; echo back > /data/out")
        == "from host"
    )
    assert (tmp_path / "out").read_text() == "back\n"


def test_a_read_only_bind(daemon, tmp_path):
    done = daemon.docker("run", "--rm", "-v", f"{tmp_path}:/data:ro", "busybox", "touch", "/data/x", check=False)
    assert "Read-only file system" in done.stderr


def test_a_missing_source_is_made_by_v_and_refused_by_mount(daemon, tmp_path):
    run(daemon, "-v", f"{tmp_path}/new:/data", "busybox", "touch", "/data/x")
    assert (tmp_path / "new/x").exists()
    done = daemon.docker(
        "run", "--rm", "--mount", f"type=bind,src={tmp_path}/absent,dst=/data", "busybox", "true", check=False
    )
    assert done.returncode == 125
    assert f"bind source path does not exist: {tmp_path}/absent" in done.stderr


def test_a_single_file_is_bound(daemon, tmp_path):
    (tmp_path / "f").write_text("one file")
    assert run(daemon, "-v", f"{tmp_path}/f:/etc/f", "busybox", "cat", "/etc/f") == "one file"


def test_a_named_volume_outlives_containers(daemon):
    run(daemon, "-v", "data:/data", "busybox", "sh", "-c", "echo kept > /data/f")
    assert run(daemon, "-v", "data:/data:ro", "busybox", "cat", "/data/f") == "kept"
    assert daemon.out("volume", "ls", "-q") == "data"
    assert daemon.out("volume", "inspect", "-f", "{{.Driver}}", "data") == "local"


def test_a_volume_begins_with_the_images_files(daemon):
    assert "passwd" in run(daemon, "-v", "etc:/etc", "busybox", "ls", "/etc")
    assert "passwd" not in run(daemon, "-v", "etc2:/etc:nocopy", "busybox", "ls", "/etc")


def test_an_anonymous_volume_goes_with_rm(daemon):
    run(daemon, "-v", "/cache", "busybox", "touch", "/cache/x")
    assert daemon.out("volume", "ls", "-q") == ""
    daemon.docker("create", "--name", "keeps", "-v", "/cache", "busybox", "true")
    daemon.docker("rm", "keeps")
    assert len(daemon.out("volume", "ls", "-q")) == 64


def test_a_volume_in_use_stays(daemon):
    identifier = daemon.out("create", "--name", "user", "-v", "data:/data", "busybox", "true")
    done = daemon.docker("volume", "rm", "data", check=False)
    assert f"volume is in use - [{identifier}]" in done.stderr


def test_tmpfs_with_options(daemon):
    said = run(
        daemon,
        "--mount",
        "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
        "busybox",
        "sh",
        "-c",
        "stat -c %a /t; df -k /t | tail -1",
    )
    mode, row = said.splitlines()
    assert mode == "700"
    assert row.split()[1] == "1024"


def test_what_the_host_mounts_later_is_not_seen(daemon, tmp_path):
    daemon.docker("run", "-d", "--name", "bb", "-v", f"{tmp_path}:/data", "busybox", "sleep", "100")
    assert daemon.out("inspect", "-f", "{{(index .Mounts 0).Propagation}}", "bb") == "rprivate"


def test_volumes_from_another_container(daemon):
    daemon.docker("create", "--name", "owner", "-v", "data:/data", "busybox", "true")
    run(daemon, "--volumes-from", "owner", "busybox", "touch", "/data/x")
    assert run(daemon, "-v", "data:/d", "busybox", "ls", "/d") == "x"


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden"])
def test_a_volume_with_a_bad_name_is_refused(daemon, name):
    done = daemon.docker("volume", "create", name, check=False)
    assert done.returncode == 1
    assert not os.path.exists(daemon.root / "data/x")


def test_a_volume_is_made_as_its_mount_says(daemon):
    options = "volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=1m,volume-label=a=b"
    shown = daemon.out("run", "--mount", f"source=made,target=/x,{options}", "busybox", "grep", " /x ", "/proc/mounts")
    assert shown.split()[2:4] == ["tmpfs", "rw,relatime,size=1024k"]
    (volume,) = json.loads(daemon.out("volume", "inspect", "made"))
    assert volume["Labels"] == {"a": "b"}
    assert volume["Options"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}


def test_mounts_from_another_container_show_no_mode(daemon):
    daemon.docker("create", "--name", "owner", "-v", "data:/data:ro", "busybox")
    daemon.docker("create", "--name", "box", "--volumes-from", "owner:ro,z", "busybox")
    (mount,) = json.loads(daemon.out("inspect", "--format", "{{json .Mounts}}", "box"))
    assert (mount["Name"], mount["Mode"], mount["RW"]) == ("data", "", False)


@pytest.mark.parametrize("wanted", ["shared", "rslave"])
def test_a_bind_is_propagated_from_a_shared_mount_only(daemon, tmp_path, wanted):
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    words = ["run", "--rm", "-v", f"{source}:/x:{wanted}", "busybox", "grep", " /x ", "/proc/self/mountinfo"]
    mount("-t", "tmpfs", "tmpfs", source)
    try:
        mount("--make-private", source)
        done = daemon.docker(*words, check=False)
        kind = "shared or slave" if wanted == "rslave" else "shared"
        assert f"path {source} is mounted on {source} but it is not a {kind} mount" in done.stderr
        mount("--make-shared", source)
        assert ("master:" if wanted == "rslave" else "shared:") in daemon.out(*words)
    finally:
        subprocess.run(["umount", source], check=True)


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def test_a_mount_of_an_image_is_warned_of(daemon):
    done = daemon.docker("create", "--mount", "type=image,source=busybox,target=/x", "busybox")
    assert done.stderr == "WARNING: Image mount is an experimental feature\n"
