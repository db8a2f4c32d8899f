"""`wherry system fsck` finds what no record knows and what records miss, mends it, and touches nothing else."""

import hashlib
import json
import os
import secrets
import select
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from wherry.networks.plan import LINK_GROUP

STRANGER = "f" * 64
LONG_AGO = 1_600_000_000


def fsck(daemon, *flags):
    """The findings by kind, and the exit status."""
    done = daemon.wherry("system", "fsck", "--format", "json", *flags, check=False)
    assert not done.stderr, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {(it["Kind"], it["Name"]): it for it in found}, done.returncode


def everything(daemon):
    """What must not move: every path of the daemon's, links, rules, cgroups, and what runs."""
    paths = {}
    for top, directories, files in os.walk(daemon.root):
        for name in (*directories, *files):
            path = Path(top, name)
            if not {"docker-config", "daemon.log", "wherry.db-wal", "wherry.db-shm", "wherry.db"} & set(path.parts):
                paths[str(path)] = os.lstat(path).st_ino
    return {
        "paths": paths,
        "links": sorted(name for name in os.listdir("/sys/class/net")),
        "rules": subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout,
        "cgroups": sorted(top for top, _, _ in os.walk("/sys/fs/cgroup")),
        "containers": daemon.out("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"),
        "pids": daemon.out("inspect", "-f", "{{.State.Pid}}", "keeps"),
        "volumes": daemon.out("volume", "ls", "-q"),
        "images": daemon.out("images", "-q"),
    }


@pytest.fixture
def lived_in(daemon):
    """A daemon with something of everything: a container that runs, with a port, a volume, one that has ended."""
    daemon.docker("run", "-d", "--name", "keeps", "-p", "127.0.0.1::80", "-v", "kept:/v", "busybox", "sleep", "1000")
    daemon.docker("run", "--name", "ended", "-v", "/anonymous", "busybox", "touch", "/v")
    # What other tests, or other engines, left in the common control groups.
    fsck(daemon, "--repair")
    wait_until_clean(daemon)
    return daemon


def wait_until_clean(daemon):
    """What is torn down after the answer gets a moment for it."""
    deadline = time.monotonic() + 10
    while (found := fsck(daemon))[1] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == ({}, 0)


def data(daemon, *parts):
    return daemon.root.joinpath("data", *parts)


def nft(daemon, words):
    subprocess.run(["nft", words.replace("TABLE", f"inet wherry-{daemon.bridge}")], check=True)


def trees():
    return [path.parent for path in Path("/sys/fs/cgroup").glob("*/docker")] or [Path("/sys/fs/cgroup")]


def plant_container_directory(daemon):
    path = data(daemon, "containers", STRANGER)
    path.mkdir()
    (path / "hosts").write_text("127.0.0.1 localhost")
    return "container directory", str(path)


def plant_runtime_directory(daemon):
    path = daemon.root / "exec/containers" / STRANGER
    path.mkdir()
    (path / "journal").touch()
    return "runtime directory", str(path)


def plant_unfinished_snapshot(daemon):
    path = data(daemon, "snapshots/overlay/new", secrets.token_hex(16))
    (path / "fs").mkdir(parents=True)
    return "snapshot directory", str(path)


def plant_unknown_layer(daemon):
    path = data(daemon, "snapshots/overlay/committed", f"sha256-{'e' * 64}")
    (path / "fs/etc").mkdir(parents=True)
    return "snapshot directory", str(path)


def plant_trash(daemon):
    path = data(daemon, "snapshots/overlay/trash/thrown-away")
    (path / "fs").mkdir(parents=True)
    return "discarded snapshot", str(path)


def plant_blob(daemon):
    digest = hashlib.sha256(b"planted").hexdigest()
    path = data(daemon, "content/blobs/sha256", digest)
    path.write_bytes(b"planted")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return "blob", f"sha256:{digest}"


def plant_download(daemon):
    data(daemon, "content/ingest", f"sha256-{'d' * 64}").write_bytes(b"half")
    return "unfinished download", f"sha256:{'d' * 64}"


def plant_temporary_file(daemon):
    path = data(daemon, "content/ingest/tmp-planted")
    path.write_bytes(b"lost")
    return "stray file", str(path)


def plant_volume(daemon):
    data(daemon, "volumes/planted/_data").mkdir(parents=True)
    return "volume directory", "planted"


def plant_removed_volume(daemon):
    data(daemon, "volumes/.removed-planted/_data").mkdir(parents=True)
    return "removed volume", ".removed-planted"


def plant_link(daemon):
    for words in ("link add wherryplant type veth peer name plantpeer",
                  f"link set wherryplant group {LINK_GROUP}",
                  f"link set wherryplant master {daemon.bridge}"):  # fmt: skip
        subprocess.run(["ip", *words.split()], check=True)
    return "network link", "wherryplant"


def plant_published_port(daemon):
    nft(daemon, "add element TABLE published { tcp . 127.0.0.9 . 4711 : 10.213.7.99 . 80 }")
    return "firewall rule", "published tcp . 127.0.0.9 . 4711 : 10.213.7.99 . 80"


def plant_rule(daemon):
    nft(daemon, "add rule TABLE passing ip saddr 192.0.2.1 accept")
    return "firewall rule", "chain passing with 7 rules"


def plant_cgroup(daemon):
    for tree in trees():
        path = tree / "docker" / STRANGER
        path.mkdir()
        os.utime(path, (LONG_AGO, LONG_AGO))
    return "control group", f"/docker/{STRANGER}"


PLANTS = [
    plant_container_directory, plant_runtime_directory, plant_unfinished_snapshot, plant_unknown_layer, plant_trash,
    plant_blob, plant_download, plant_temporary_file, plant_volume, plant_removed_volume, plant_link,
    plant_published_port, plant_rule, plant_cgroup,
]  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_what_no_record_knows_is_found_and_removed(lived_in, plant):
    before = everything(lived_in)
    planted = plant(lived_in)
    found, status = fsck(lived_in)
    assert planted in found
    assert status == 1
    assert {kind for kind, _ in found} == {planted[0]}
    repaired, status = fsck(lived_in, "--repair")
    assert repaired[planted]["Repaired"], repaired
    assert status == 0
    assert fsck(lived_in) == ({}, 0)
    assert everything(lived_in) == before


def only(found):
    ((key, finding),) = found.items()
    return key, finding


def forget(daemon, name):
    """Take a container's record out of the ledger while no daemon runs; its id."""
    container = daemon.out("inspect", "-f", "{{.Id}}", name)
    daemon.kill()
    with closing(sqlite3.connect(data(daemon, "wherry.db"))) as ledger, ledger:
        ledger.execute("DELETE FROM containers WHERE key = ?", (container,))
    return container


def wait_for_end(pid):
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(int(pid))
        assert select.select([pidfd], [], [], 20)[0]
        os.close(pidfd)


def test_a_container_that_runs_without_a_record_or_a_directory_is_killed(lived_in):
    daemon = lived_in
    pid = daemon.out("inspect", "-f", "{{.State.Pid}}", "keeps")
    container = forget(daemon, "keeps")
    shutil.rmtree(daemon.root / "exec/containers" / container)
    daemon.start()
    found, status = fsck(daemon)
    assert {kind for kind, _ in found} == {"monitor process"}
    assert status == 1
    fsck(daemon, "--repair")
    wait_for_end(pid)
    wait_until_clean(daemon)


def test_what_records_miss_is_told_and_mended_where_it_can_be(lived_in):
    daemon = lived_in
    ended, volume = daemon.out("inspect", "-f", "{{.Id}} {{(index .Mounts 0).Name}}", "ended").split()
    shutil.rmtree(data(daemon, "containers", ended))
    shutil.rmtree(data(daemon, "snapshots/overlay/active", ended, "work"))
    shutil.rmtree(data(daemon, "volumes", volume))
    found, status = fsck(daemon, "--repair")
    assert status == 1
    assert {key: it["Repaired"] for key, it in found.items()} == {
        ("lost container directory", str(data(daemon, "containers", ended))): True,
        ("work directory", str(data(daemon, "snapshots/overlay/active", ended, "work"))): True,
        ("missing volume", volume): False,
    }
    (key, left) = only(fsck(daemon)[0])
    assert key == ("missing volume", volume)
    assert left["Remedy"] == ""
    assert "restore it, or remove the volume" in left["Problem"]


def test_a_lost_snapshot_is_told(lived_in):
    daemon = lived_in
    ended = daemon.out("inspect", "-f", "{{.Id}}", "ended")
    shutil.rmtree(data(daemon, "snapshots/overlay/active", ended))
    assert only(fsck(daemon, "--repair")[0])[0] == ("missing snapshot", ended)
    daemon.docker("rm", "ended")
    assert fsck(daemon) == ({}, 0)


def test_a_damaged_blob_is_found_by_reading_it(lived_in):
    daemon = lived_in
    layer = max(data(daemon, "content/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    with layer.open("r+b") as file:
        whole = file.read(1)
        file.seek(0)
        file.write(b"X")
    try:
        assert fsck(daemon) == ({}, 0)
        key, finding = only(fsck(daemon, "--deep")[0])
    finally:
        with layer.open("r+b") as file:
            file.write(whole)
    assert key == ("damaged blob", f"sha256:{layer.name}")
    assert finding["Problem"].endswith("remove the image and pull it again")
    assert fsck(daemon, "--deep") == ({}, 0)


def test_a_volume_with_data_gets_its_record_back(lived_in):
    daemon = lived_in
    directory = data(daemon, "volumes/precious/_data")
    directory.mkdir(parents=True)
    (directory / "book").write_text("words")
    (key, finding) = only(fsck(daemon, "--repair")[0])
    assert (key, finding["Repaired"]) == (("forgotten volume", "precious"), True)
    assert daemon.out("run", "--rm", "-v", "precious:/v", "busybox", "cat", "/v/book") == "words"


def test_a_lost_blob_is_told(lived_in):
    daemon = lived_in
    # Not any: what only images had that are gone by now is no loss.
    blob = data(daemon, "content/blobs") / daemon.out("inspect", "-f", "{{.Id}}", "busybox").replace(":", "/")
    aside = data(daemon, "aside")
    blob.rename(aside)
    try:
        key, finding = only(fsck(daemon, "--repair")[0])
    finally:
        aside.rename(blob)
    assert key == ("missing blob", f"sha256:{blob.name}")
    assert finding["Problem"].endswith("remove the image and pull it again")


def test_a_mount_that_no_container_holds_is_undone(lived_in):
    daemon = lived_in
    daemon.docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "mounted")
    place = data(daemon, "volumes/mounted/_data")
    daemon.docker("run", "-d", "--name", "holds", "-v", "mounted:/v", "busybox", "sleep", "1000")
    assert fsck(daemon) == ({}, 0)
    daemon.docker("rm", "-f", "holds")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    key, finding = only(fsck(daemon, "--repair")[0])
    assert (key, finding["Repaired"]) == (("volume mount", str(place)), True)
    assert not place.is_mount()


def published_port(daemon):
    return daemon.out("port", "keeps", "80/tcp")


@pytest.mark.parametrize("words", ["delete element TABLE published {{ tcp . 127.0.0.1 . {port} }}", ""],
                         ids=["element", "bridge address"])  # fmt: skip
def test_what_somebody_took_from_the_network_is_put_back(lived_in, words):
    daemon = lived_in
    before = everything(daemon)
    if words:
        nft(daemon, words.format(port=published_port(daemon).rpartition(":")[2]))
    else:
        subprocess.run(["ip", "address", "flush", "dev", daemon.bridge], check=True)
    found, status = fsck(daemon, "--repair")
    assert found
    assert all(it["Repaired"] for it in found.values())
    assert status == 0
    wait_until_clean(daemon)
    after = everything(daemon)
    # Spare namespaces are made anew with their bridge.
    assert {**after, "links": 0} == {**before, "links": 0}


def test_a_daemon_at_work_is_not_harmed(lived_in, busybox_tar, tmp_path):
    """Repairing goes on while containers come and go and images are made and removed: nothing of them is taken."""
    daemon, over = lived_in, tmp_path / "over"
    words = (
        "docker run --rm -v /anonymous -p 127.0.0.1::80 busybox true",
        "docker run --name works busybox true && docker rm works",
        f"docker import - made:1 < {busybox_tar} && docker run --rm made:1 /bin/true && docker rmi made:1",
    )
    to = {"env": daemon.environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    loop = "until test -e {}; do {{ {} ; }} || exit 1; done"
    work = [subprocess.Popen(["sh", "-c", loop.format(over, each)], **to) for each in words]
    try:
        for _ in range(5):
            found, _ = fsck(daemon, "--repair")
            assert not [it for it in found.values() if not it["Repaired"] and not it["Error"]], found
    finally:
        over.touch()
        said = [each.communicate()[0] for each in work]
    assert [each.returncode for each in work] == [0, 0, 0], said
    wait_until_clean(daemon)


def test_people_are_told_in_a_table(lived_in):
    daemon = lived_in
    assert daemon.wherry("system", "fsck").stdout == "Clean: disk and kernel are as the records say\n"
    kind, name = plant_trash(daemon)
    done = daemon.wherry("system", "fsck", check=False)
    assert done.returncode == 1
    header, row, _, summary = done.stdout.splitlines()
    assert header.split() == ["KIND", "NAME", "PROBLEM", "REPAIR"]
    assert [cell.strip() for cell in row.split("   ") if cell] == [kind, name, "it was not deleted", "delete it"]
    assert summary == "1 found; --repair mends what can be mended"
    done = daemon.wherry("system", "fsck", "--repair")
    assert done.stdout.splitlines()[-1] == "1 found, 1 repaired"
