"""`wherry cp`, `diff`, `export` and `commit` do what docker's command line does, file by file and word by word."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

SCRIPT = """
mkdir -p /src/dir/sub; echo a >/src/file; echo b >/src/dir/x; echo c >/src/dir/sub/y; chmod 4750 /src/file
ln -s file /src/to-file; ln -s dir /src/to-dir; ln -s nowhere /src/dangling; ln /src/file /src/again
mkdir -p /dst/dir; echo old >/dst/file; ln -s dir /dst/to-dir; ln -s file /dst/to-file; touch /done; sleep 1000
"""

OUT = [
    ("/src/file", "new"), ("/src/file", "file"), ("/src/file", "dir"), ("/src/file", "dir/"), ("/src/file", "no/"),
    ("/src/file", "no/such"), ("/src/dir", "dir"), ("/src/dir", "new"), ("/src/dir", "file"), ("/src/dir/", "new"),
    ("/src/dir/.", "dir"), ("/src/dir/.", "new"), ("/src/to-file", "new"), ("-L", "/src/to-file", "new"),
    ("-L", "/src/to-file", "dir"), ("-L", "/src/to-dir", "dir"), ("/src/to-dir/", "new"), ("/src", "dir"),
    ("/src/dangling", "dir"), ("-L", "/src/dangling", "dir"), ("/nope", "new"), ("/src/file/", "new"),
    ("/src/dir", "link-to-dir"), ("/src/file", "link-to-file"),
]  # fmt: skip
INTO = [
    ("file", "/dst/new"), ("file", "/dst/file"), ("file", "/dst"), ("file", "/dst/dir/"), ("file", "/dst/no/"),
    ("file", "/no/such/new"), ("dir", "/dst"), ("dir", "/dst/new"), ("dir", "/dst/file"), ("dir/", "/dst/new"),
    ("dir/.", "/dst"), ("dir/.", "/dst/new"), ("to-file", "/dst/new"), ("-L", "to-file", "/dst/new"),
    ("-L", "to-dir", "/dst"), ("file", "/dst/to-dir"), ("file", "/dst/to-file"), ("dangling", "/dst"),
    ("-L", "dangling", "/dst"), ("nope", "/dst"), ("file/", "/dst/new"), ("file", "/dev/null"), ("-a", "file", "/dst"),
    ("dir", "/dst/new/deeper"),
]  # fmt: skip


def here(path):
    """What stands below a directory of this machine."""
    found = {}
    for directory, names, files in os.walk(path):
        for name in sorted(names + files):
            each = os.path.join(directory, name)
            status = os.lstat(each)
            content = os.readlink(each) if os.path.islink(each) else Path(each).read_text() if name in files else ""
            found[os.path.relpath(each, path)] = (oct(status.st_mode), status.st_uid, status.st_nlink, content)
    return {name: value if not value[0].startswith("0o4") else (*value[:2], value[3]) for name, value in found.items()}


def make_here(path):
    (path / "dir").mkdir(parents=True)
    (path / "dir/x").write_text("inner")
    (path / "file").write_text("outer")
    (path / "link-to-dir").symlink_to("dir")
    (path / "link-to-file").symlink_to("file")
    (path / "to-file").symlink_to("file")
    (path / "to-dir").symlink_to("dir")
    (path / "dangling").symlink_to("nowhere")


@pytest.fixture
def busy(daemon):
    daemon.docker("run", "-d", "--name", "cc", "--network=none", "--user=user:extra", "busybox", "sleep", "1000")
    daemon.docker("exec", "-u", "0", "-d", "cc", "sh", "-c", SCRIPT)
    daemon.docker("exec", "cc", "sh", "-c", "while [ ! -e /done ]; do :; done")
    return "cc"


def said(done):
    """Without what docker's library logs when its own pipe is closed."""
    words = [line for line in done.stderr.strip().splitlines() if "on closed pipe" not in line]
    return done.returncode, words


def test_out_of_a_container_as_docker_does(daemon, busy, tmp_path):
    different = []
    for *flags, source, target in OUT:
        results = []
        for program in (daemon.docker, daemon.wherry):
            shutil.rmtree(tmp_path / "t", ignore_errors=True)
            make_here(tmp_path / "t")
            done = program("cp", *flags, f"{busy}:{source}", target, check=False, cwd=tmp_path / "t")
            results.append((*said(done), here(tmp_path / "t")))
        if results[0] != results[1]:
            different.append(f"{flags} {source} {target}:\n  docker {results[0]}\n  wherry {results[1]}")
    assert not different, "\n".join(different)


def test_into_a_container_as_docker_does(daemon, busy, tmp_path):
    make_here(tmp_path / "t")
    look = "cd /dst; find . | sort | xargs -n 1 stat -c '%n %f %u:%g %s %N'; cat file"
    different = []
    for *flags, source, target in INTO:
        results = []
        for program in (daemon.docker, daemon.wherry):
            daemon.docker("exec", "-u", "0", busy, "sh", "-c", "rm -rf /dst; mkdir -p /dst/dir; echo old >/dst/file; "
                          "ln -s dir /dst/to-dir; ln -s file /dst/to-file")  # fmt: skip
            done = program("cp", *flags, source, f"{busy}:{target}", check=False, cwd=tmp_path / "t")
            results.append((*said(done), daemon.out("exec", "-u", "0", busy, "sh", "-c", look)))
        if results[0] != results[1]:
            different.append(f"{flags} {source} {target}:\n  docker {results[0]}\n  wherry {results[1]}")
    assert not different, "\n".join(different)


@pytest.mark.parametrize(
    "words",
    [
        ("cc:/x", "dd:/y"), ("x", "y"), ("", "cc:/x"), ("cc:/x", ""), ("nobody:/x", "."), (".", "nobody:/x"),
        ("-", "cc:/etc/passwd"),
    ],
)  # fmt: skip
def test_wrong_words_are_told_as_docker_does(daemon, busy, words):
    done = [program("cp", *words, check=False, input="") for program in (daemon.docker, daemon.wherry)]
    assert said(done[0]) == said(done[1])


def test_tars_by_the_standard_streams(daemon, busy, tmp_path):
    both = [program("cp", f"{busy}:/src", "-", text=False).stdout for program in (daemon.docker, daemon.wherry)]
    assert both[0] == both[1]
    daemon.wherry("cp", "-", f"{busy}:/dst", input=both[0], text=False)
    assert "y" in daemon.out("exec", busy, "ls", "/dst/src/dir/sub")


def test_nothing_lands_outside_of_the_directory_that_is_meant(daemon, busy, tmp_path):
    """A container may say what it wants, also instead of the tar that was asked for."""
    daemon.docker("exec", "-u", "0", busy, "sh", "-c", f"mkdir /t; ln -s {tmp_path}/canary /t/link")
    (tmp_path / "canary").mkdir()
    (tmp_path / "out").mkdir()
    daemon.wherry("cp", f"{busy}:/t", tmp_path / "out")
    daemon.docker("exec", "-u", "0", busy, "sh", "-c", "rm /t/link; mkdir /t/link; echo bad >/t/link/file")
    done = daemon.wherry("cp", f"{busy}:/t", tmp_path / "out", check=False)
    assert done.returncode == 1
    assert os.listdir(tmp_path / "canary") == []


def test_diff_export_and_commit(daemon, busy, tmp_path):
    assert daemon.wherry("diff", busy).stdout == daemon.docker("diff", busy).stdout
    daemon.wherry("export", "-o", tmp_path / "tar", busy)
    with tarfile.open(tmp_path / "tar") as tar:
        assert "src/dir/sub/y" in tar.getnames()
    image = daemon.wherry("commit", "-a", "me", "-m", "why", "-c", "ENV A=1", busy, "by:wherry").stdout.strip()
    assert daemon.out("image", "inspect", "-f", "{{.Id}} {{.Author}} {{.Config.Env}}", "by:wherry").startswith(
        f"{image} me ["
    )
    daemon.docker("rmi", "by:wherry")
