"""`docker cp`, `diff` and `export` by the real command line, in every state, with mounts."""

import io
import json
import os
import socket
import subprocess
import tarfile
import time

import pytest


@pytest.fixture(params=["running", "paused", "stopped", "never started"])
def container(request, daemon, tmp_path):
    """One in each state, with a volume, a bind, a read-only bind; always the same files in it."""
    for name in ("bind", "readonly"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "from-host").write_text(name)
    mounts = ["-v", "vol:/vol", "-v", f"{tmp_path}/bind:/bind", "-v", f"{tmp_path}/readonly:/readonly:ro"]
    daemon.docker("create", "--name", "cc", "--network=none", "--label", "a=b", *mounts, "busybox", "sleep", "1000")
    if request.param != "never started":
        daemon.docker("start", "cc")
    if request.param == "stopped":
        daemon.docker("kill", "cc")
    if request.param == "paused":
        daemon.docker("pause", "cc")
    yield "cc"
    if request.param == "paused":
        daemon.docker("unpause", "cc", check=False)


def tar_of(daemon, path, container="cc"):
    data = daemon.docker("cp", f"{container}:{path}", "-", text=False).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_files_go_in_and_come_out_with_all_that_they_are(daemon, container, tmp_path):
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d/big").write_bytes(os.urandom(300_000))
    (tree / "d/run").write_text("x")
    (tree / "l").symlink_to("d/run")
    (tree / "out").symlink_to("../../elsewhere")
    os.link(tree / "d/run", tree / "again")
    os.chown(tree / "d/run", 5, 6)
    (tree / "d/run").chmod(0o4755)
    os.utime(tree / "d", (1_000_000_000, 1_000_000_000))
    with tarfile.open(tmp_path / "tree.tar", "w") as tar:
        tar.add(tree, "tree")
    daemon.docker("cp", "-", f"{container}:/home", input=(tmp_path / "tree.tar").read_bytes(), text=False)
    found = tar_of(daemon, "/home/tree")
    assert sorted(found) == ["tree", "tree/again", "tree/d", "tree/d/big", "tree/d/run", "tree/l", "tree/out"]
    assert (found["tree/d/run"].mode, found["tree/again"].uid, found["tree/again"].gid) == (0o4755, 5, 6)
    assert found["tree/d/run"].islnk()
    assert found["tree/d/run"].linkname == "tree/again"
    assert found["tree/l"].linkname == "d/run"
    assert found["tree/out"].linkname == "../../elsewhere"
    assert found["tree/d"].mtime == 1_000_000_000
    daemon.docker("cp", f"{container}:/home/tree/d/big", tmp_path / "big")
    assert (tmp_path / "big").read_bytes() == (tree / "d/big").read_bytes()


def test_volumes_and_binds_are_where_the_container_has_them(daemon, container, tmp_path):
    assert list(tar_of(daemon, "/bind/from-host")) == ["from-host"]
    (tmp_path / "f").write_text("new")
    daemon.docker("cp", tmp_path / "f", f"{container}:/vol/f")
    daemon.docker("cp", tmp_path / "f", f"{container}:/bind/")
    assert (tmp_path / "bind/f").read_text() == "new"
    assert daemon.out("run", "--rm", "-v", "vol:/v", "busybox", "cat", "/v/f") == "new"
    refused = daemon.docker("cp", tmp_path / "f", f"{container}:/readonly/f", check=False)
    assert refused.stderr.strip() == "Error response from daemon: mounted volume is marked read-only"
    assert os.listdir(tmp_path / "readonly") == ["from-host"]


def test_what_is_not_there_is_said_in_dockers_words(daemon, container, tmp_path):
    done = daemon.docker("cp", f"{container}:/nope", tmp_path, check=False)
    assert done.stderr.strip() == "Error response from daemon: Could not find the file /nope in container cc"
    done = daemon.docker("cp", f"{container}:/etc/passwd/x", tmp_path, check=False)
    assert done.stderr.strip() == "Error response from daemon: lstat /etc/passwd/x: not a directory"
    (tmp_path / "f").write_text("new")
    done = daemon.docker("cp", tmp_path / "f", f"{container}:/no/such/dir", check=False)
    assert done.stderr.strip() == "Error response from daemon: Could not find the file /no/such in container cc"


def test_links_are_followed_when_that_is_wished(daemon, tmp_path):
    script = "ln -s /etc/passwd /l; ln -s /etc /d; ln -s nowhere /n; sleep 1000"
    daemon.docker("run", "-d", "--name", "cc", "--network=none", "busybox", "sh", "-c", script)
    daemon.docker("exec", "cc", "sh", "-c", "while [ ! -L /n ]; do :; done")
    assert tar_of(daemon, "/l")["l"].linkname == "/etc/passwd"
    daemon.docker("cp", "-L", "cc:/l", tmp_path / "followed")
    assert (tmp_path / "followed").read_text().startswith("root:")
    assert "d/passwd" in tar_of(daemon, "/d/")
    assert tar_of(daemon, "/d")["d"].issym()
    assert "./passwd" in tar_of(daemon, "/d/.")
    (tmp_path / "f").write_text("new")
    daemon.docker("cp", tmp_path / "f", "cc:/d")
    assert daemon.out("exec", "cc", "cat", "/etc/f") == "new"


def test_owners_are_kept_or_become_the_containers(daemon, tmp_path):
    daemon.docker("run", "-d", "--name", "cc", "--network=none", "--user=user", "busybox", "sleep", "1000")
    (tmp_path / "f").write_text("new")
    os.chown(tmp_path / "f", 12, 34)
    daemon.docker("cp", tmp_path / "f", "cc:/tmp/plain")
    daemon.docker("cp", "-a", tmp_path / "f", "cc:/tmp/archived")
    assert daemon.out("exec", "cc", "stat", "-c", "%u:%g", "/tmp/plain") == "12:34"
    assert daemon.out("exec", "cc", "stat", "-c", "%u:%g", "/tmp/archived") == "1000:1000"
    daemon.docker("run", "-d", "--name", "root", "--network=none", "busybox", "sleep", "1000")
    daemon.docker("cp", "-a", tmp_path / "f", "root:/tmp/archived")  # nobody has said whose it is to be
    assert daemon.out("exec", "root", "stat", "-c", "%u:%g", "/tmp/archived") == "12:34"


def test_a_read_only_container_takes_files_only_into_what_is_writable(daemon, tmp_path):
    options = ["--read-only", "--tmpfs", "/t", "-v", "vol:/vol"]
    daemon.docker("run", "-d", "--name", "cc", "--network=none", *options, "busybox", "sleep", "1000")
    (tmp_path / "f").write_text("new")
    refused = daemon.docker("cp", tmp_path / "f", "cc:/home/f", check=False)
    assert refused.stderr.strip() == "Error response from daemon: container rootfs is marked read-only"
    daemon.docker("cp", tmp_path / "f", "cc:/vol/f")
    daemon.docker("cp", tmp_path / "f", "cc:/t/f")  # which dockerd does not see at all
    assert daemon.out("exec", "cc", "cat", "/vol/f", "/t/f") == "newnew"


def test_neither_the_kernels_file_systems_nor_the_devices_are_copied(daemon):
    daemon.docker("run", "-d", "--name", "cc", "--network=none", "busybox", "sleep", "1000")
    found = tar_of(daemon, "/")
    assert [name for name in found if name.startswith(("/proc/", "/sys/"))] == []
    assert sorted(name for name in found if name.startswith("/dev")) == ["/dev", "/dev/console", "/dev/pts", "/dev/shm"]


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd"])
def test_a_compressed_tar_is_unpacked(daemon, tmp_path, program):
    daemon.docker("create", "--name", "cc", "busybox")
    (tmp_path / "f").write_text("new")
    packed = subprocess.run(
        ["sh", "-c", f"tar -C {tmp_path} -cf - f | {program} -c"], capture_output=True, check=True
    ).stdout
    daemon.docker("cp", "-", "cc:/home", input=packed, text=False)
    assert list(tar_of(daemon, "/home/f")) == ["f"]


def test_a_cut_off_tar_is_an_error(daemon):
    daemon.docker("create", "--name", "cc", "busybox")
    for data in (b"hello", bytes(700)):
        done = daemon.docker("cp", "-", "cc:/home", input=data, text=False, check=False)
        assert done.stderr.strip() == b"Error response from daemon: unexpected EOF"


def test_the_differences_are_told_in_order(daemon):
    script = "echo x >/new; rm /etc/group; mkdir -p /d/e; echo x >/d/e/f; chmod 700 /home; rm -r /var; mkdir /var"
    daemon.docker("run", "--name", "cc", "--network=none", "busybox", "sh", "-c", script)
    expected = ["A /d", "A /d/e", "A /d/e/f", "C /etc", "D /etc/group", "C /home", "A /new"]
    assert [line for line in daemon.out("diff", "cc").splitlines() if line != "C /var"] == expected
    daemon.docker("create", "--name", "untouched", "busybox")
    assert daemon.out("diff", "untouched") == ""


@pytest.mark.parametrize("runs", [True, False])
def test_an_export_is_the_file_system_without_mounts(daemon, runs):
    options = ["--name", "cc", "--network=none", "-v", "vol:/vol"]
    daemon.docker("create", *options, "busybox", "sh", "-c", "echo x >/new; echo y >/vol/y; sleep 1000")
    if runs:
        daemon.docker("start", "cc")
        daemon.docker("exec", "cc", "sh", "-c", "while [ ! -e /vol/y ]; do :; done")
    data = daemon.docker("export", "cc", text=False).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
    assert names[0] == ".dockerenv"
    assert "bin/busybox" in names
    assert ("new" in names) == runs
    assert not [name for name in names if name.startswith(("proc/", "sys/", "vol/"))]


def test_every_copy_is_an_event(daemon, tmp_path):
    daemon.docker("run", "-d", "--name", "cc", "--network=none", "busybox", "sleep", "1000")
    (tmp_path / "f").write_text("new")
    daemon.docker("cp", tmp_path / "f", "cc:/f")
    daemon.docker("cp", "cc:/f", tmp_path / "g")
    daemon.docker("export", "-o", tmp_path / "tar", "cc")
    query = ["--since", "1m", "--until", f"{time.time():.9f}", "--filter", "container=cc", "--format", "{{.Action}}"]
    assert daemon.out("events", *query).split()[-3:] == ["extract-to-dir", "archive-path", "export"]


def put(daemon, *pieces):
    """The answer to a request that is sent piece by piece."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(daemon.socket))
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.05)  # each is to come by itself
        answered = b""
        while piece := client.recv(65536):
            answered += piece
        return answered


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("at_once", [True, False])
def test_it_goes_in_however_the_request_is_sent(daemon, compressed, version, at_once):
    daemon.docker("create", "--name", "cc", "--network=none", "busybox", "true")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz" if compressed else "w") as tar:
        member = tarfile.TarInfo("sent")
        member.size = 200_000
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    data = archive.getvalue()
    head = f"PUT /containers/cc/archive?path=/home HTTP/{version}\r\nHost: d\r\nConnection: close\r\n".encode()
    length = b"Content-Length: %d\r\n\r\n" % len(data)
    pieces = (head + length + data,) if at_once else (head, length, data[:3], data[3:])
    assert put(daemon, *pieces).split()[1] == b"200"
    assert tar_of(daemon, "/home/sent")["sent"].size == 200_000


CHUNKED = b"PUT /containers/cc/archive?path=/home HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
BEGUN = b"200\r\n" + bytes(512) + b"\r\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (BEGUN + b"xyz\r\n", "invalid byte in chunk length"),
        (BEGUN + b"1" * 17 + b"\r\n", "http chunk length too large"),
        (b"5\r\nhelloworld\r\n", "malformed chunked encoding"),
        (BEGUN + b"1" * 9000, "malformed chunked encoding"),
    ],
)
def test_a_wrong_framing_is_the_clients_mistake(daemon, body, words):
    daemon.docker("create", "--name", "cc", "--network=none", "busybox", "true")
    head, _, said = put(daemon, CHUNKED, body).partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert json.loads(said) == {"message": words}
    assert daemon.out("diff", "cc") == ""


def test_a_client_that_leaves_amid_its_upload_keeps_nobody(daemon):
    daemon.docker("create", "--name", "cc", "--network=none", "busybox", "sleep", "1000")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        client.sendall(CHUNKED + BEGUN)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        client.sendall(CHUNKED + BEGUN[:100])
    daemon.docker("start", "cc")
    daemon.docker("rm", "-f", "cc")


def test_a_container_is_removed_while_its_upload_stalls(daemon):
    daemon.docker("run", "-d", "--name", "cc", "--network=none", "busybox", "sleep", "1000")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(daemon.socket))
        client.sendall(CHUNKED + b"200\r\n" + tarfile.TarInfo("first").tobuf() + b"\r\n")
        daemon.docker("exec", "cc", "sh", "-c", "until [ -e /home/first ]; do :; done")
        daemon.docker("rm", "-f", "cc")
        assert client.recv(65536).split()[1] == b"409"
