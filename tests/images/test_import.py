"""`docker import`, changes to a configuration, and the first image."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
import zstandard

from wherry.images.changes import apply_changes
from wherry.images.find import find
from wherry.images.import_ import ImportRequest, import_image, pieces
from wherry.images.progress import Progress, as_message
from wherry.images.seed import busybox_tar
from wherry.model.config import Config, Healthcheck
from wherry.model.errors import InvalidParameter


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
async def test_a_tar_becomes_an_image_of_one_layer(library, tools, compress):
    tar = tools.tar({"f": b"content"})
    messages = tools.messages()
    request = ImportRequest(
        repository="x", tag="1", message="m", changes=('CMD ["a"]',), created="2020-01-01T00:00:00Z"
    )
    image = await import_image(library, tools.body(compress(tar)), request, report=messages)
    assert messages == [Progress(status=image.id)]
    assert image.layers[0].diff_id == tools.digest(tar)
    document = json.loads(library.content.read(image.id))
    assert document["config"] == {"Cmd": ["a"]}
    assert document["history"] == [{"created": "2020-01-01T00:00:00Z", "comment": "m"}]
    assert find(library, "x:1").comment == "m"
    with library.storage.open(image.chain_id) as rootfs:
        assert (Path(f"/proc/self/fd/{rootfs.fd}") / "f").read_bytes() == b"content"


async def test_what_is_no_tar_makes_no_image(library, tools):
    for data in (b"x" * 5000, gzip.compress(b"x" * 5000), gzip.compress(tools.tar({"f": b"1"}))[:-20]):
        with pytest.raises(InvalidParameter):
            await import_image(library, tools.body(data), ImportRequest(repository="x"))
    for request in (
        ImportRequest(repository="X"),
        ImportRequest(changes=("RUN x",)),
        ImportRequest(platform="windows/amd64"),
        ImportRequest(platform="///"),
    ):
        with pytest.raises(InvalidParameter):
            await import_image(library, tools.body(tools.tar({})), request)
    assert library.images.values() == []
    assert list(library.storage.keys()) == []
    assert list(library.content.digests()) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['CMD ["a", "b"]'], {"cmd": ("a", "b")}),
        (["CMD a b"], {"cmd": ("/bin/sh", "-c", "a b")}),
        (['CMD ["a"]', "ENTRYPOINT e"], {"entrypoint": ("/bin/sh", "-c", "e"), "cmd": None}),
        (["ENV A=1 B='2 3'", "ENV A=4"], {"env": ("A=4", "B=2 3")}),
        (["env A b c"], {"env": ("A=b c",)}),
        (['LABEL a="x y" b=2', "LABEL b=3"], {"labels": {"a": "x y", "b": "3"}}),
        (["EXPOSE 80 53/udp 90-91"], {"exposed_ports": {"80/tcp": {}, "53/udp": {}, "90/tcp": {}, "91/tcp": {}}}),
        (["USER 1:2"], {"user": "1:2"}),
        (["WORKDIR /a", "WORKDIR b"], {"working_dir": "/a/b"}),
        (["VOLUME /a /b", 'VOLUME ["/c d"]'], {"volumes": {"/a": {}, "/b": {}, "/c d": {}}}),
        (["STOPSIGNAL SIGKILL"], {"stop_signal": "SIGKILL"}),
        (["ONBUILD RUN x"], {"on_build": ("RUN x",)}),
        (["HEALTHCHECK NONE"], {"healthcheck": Healthcheck(test=("NONE",))}),
        (
            ["HEALTHCHECK --interval=1m30s --retries=3 CMD true"],
            {"healthcheck": Healthcheck(test=("CMD-SHELL", "true"), interval=90 * 10**9, retries=3)},
        ),
        (["CMD a", "CMD"], {"cmd": None}),
        (
            ["ENV A=1 B=2", 'ENV C=$A\'$A\'\\$A D=${B}x E=${Z:-d} F=${A:+y} G="$A \\" \\x"'],
            {"env": ("A=1", "B=2", "C=1$A$A", "D=2x", "E=d", "F=y", 'G=1 " \\x')},
        ),
        (["ENV A=1", "WORKDIR /a/$A", "WORKDIR ../b"], {"working_dir": "/a/b"}),
        (["ENV A=1", "USER u$A", "LABEL l=$A $A=b"], {"user": "u1", "labels": {"l": "1", "1": "b"}}),
        (
            ["ENV A=1", "EXPOSE $A 3", 'VOLUME $A ["x"]'],
            {"exposed_ports": {"1/tcp": {}, "3/tcp": {}}, "volumes": {"1": {}, "[x]": {}}},
        ),
        (["STOPSIGNAL rtmin+3"], {"stop_signal": "rtmin+3"}),
        (["# comment", "", "ENV A=1 \\", "  B=2"], {"env": ("A=1", "B=2")}),
    ],
)
def test_changes_are_lines_of_a_dockerfile(lines, expected):
    config = apply_changes(Config(), lines)
    assert {key: getattr(config, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("RUN x", "RUN is not a valid change command"),
        ("foo bar", "foo is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR $A", "cannot normalize nothing"),
        ("STOPSIGNAL FOO", "invalid signal: FOO"),
        ("EXPOSE 80/foo", "Invalid proto: foo"),
        ("EXPOSE 80-70", "Invalid containerPort: 80-70"),
        ('VOLUME ""', "VOLUME specified can not be an empty string"),
        ("HEALTHCHECK --foo=x CMD a", "unknown flag: --foo"),
        ("HEALTHCHECK --interval=1us CMD a", 'Interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --retries=-1 CMD a", r"--retries cannot be negative \(-1\)"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ('ENV A="x', "unexpected end of statement while looking for matching double-quote"),
        ("ENV A='x", "unexpected end of statement while looking for matching single-quote"),
        ("ENV A=${x", "missing '}'"),
        ("ENV A=${x:?why}", "x: why"),
        ("ENV A=${x^y}", r"unsupported modifier \(\^\)"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=1 B", 'can\'t find = in "B"'),
        ("ENV =1", "ENV names can not be blank"),
        ("EXPOSE x", "Invalid containerPort: x"),
        ("EXPOSE 70000", "Invalid containerPort"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK FOO", 'Unknown type "FOO" in HEALTHCHECK'),
        ("HEALTHCHECK --interval=x CMD y", 'invalid duration "x"'),
    ],
)
def test_a_wrong_change_is_refused_with_dockers_words(line, why):
    with pytest.raises(InvalidParameter, match=why):
        apply_changes(Config(), [line])


async def test_the_first_image_is_made_of_busybox_and_the_same_everywhere(library, make_library, seed_busybox):
    image = await seed_busybox(library)
    assert find(library, "busybox").config.cmd == ("sh",)
    assert (await seed_busybox(library)).id == image.id
    assert (await seed_busybox(make_library("other"))).id == image.id
    with library.storage.open(image.chain_id) as rootfs:
        root = Path(f"/proc/self/fd/{rootfs.fd}")
        assert (root / "bin/sh").readlink() == Path("/bin/busybox")
        assert (root / "tmp").stat().st_mode == 0o41777
        assert "root:x:0:0" in (root / "etc/passwd").read_text()


def test_a_program_that_is_not_a_static_busybox_is_refused(tmp_path):
    for program in (Path("/usr/bin/env"), Path("/etc/passwd")):
        with pytest.raises(InvalidParameter, match="is not a static program"):
            busybox_tar(program)


async def test_a_local_file_is_a_body(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    with (tmp_path / "f").open("rb") as file:
        assert [piece async for piece in pieces(file, size=2)] == [b"12", b"34", b"5"]


@pytest.mark.parametrize(
    ("progress", "message"),
    [
        (Progress(status="Pulling from x", id="1"), {"status": "Pulling from x", "id": "1"}),
        (Progress(status="Waiting", id="1", has_detail=True), {"status": "Waiting", "progressDetail": {}, "id": "1"}),
        (
            Progress(status="Downloading", id="1", current=500, total=1000),
            {
                "status": "Downloading",
                "progressDetail": {"current": 500, "total": 1000},
                "progress": "[" + "=" * 25 + ">" + " " * 25 + "]     500B/1kB",
                "id": "1",
            },
        ),
        (Progress(stream="Loaded image: x:1\n"), {"stream": "Loaded image: x:1\n"}),
        (Progress(error="e"), {"errorDetail": {"message": "e"}, "error": "e"}),
        (Progress(aux={"Tag": "1"}), {"progressDetail": {}, "aux": {"Tag": "1"}}),
    ],
)
def test_progress_becomes_dockers_messages(progress, message):
    assert as_message(progress) == message
