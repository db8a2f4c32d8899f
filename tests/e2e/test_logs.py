"""Logs as users have them: rotated by default, compressed, read back whole and in part, followed, cleared."""

import contextlib
import gzip
import json
import subprocess
import time

import pytest

from wherry.monitor.packed import STDERR, record

FORMATS = ("json-file", "local")
SECONDS = 30


def log_files(daemon, name):
    identifier = daemon.out("inspect", "-f", "{{.Id}}", name)
    directory = daemon.root / "data" / "containers" / identifier
    return [
        path for path in sorted(directory.rglob("*")) if path.is_file() and "log" in str(path.relative_to(directory))
    ]


def run(daemon, name, command, *flags):
    daemon.docker("run", "-d", "--name", name, "--network", "none", *flags, "busybox", "sh", "-c", command)
    daemon.docker("wait", name)


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_log_is_bounded_and_inspect_says_how(daemon):
    daemon.docker("create", "--name", "plain", "busybox")
    daemon.docker("create", "--name", "compact", "--log-driver", "local", "busybox")
    daemon.docker("create", "--name", "own", "--log-opt", "max-size=3k", "busybox")
    daemon.docker("create", "--name", "endless", "--log-opt", "max-size=-1", "busybox")
    shown = [json.loads(daemon.out("inspect", "-f", "{{json .HostConfig.LogConfig}}", name)) for name in
             ("plain", "compact", "own", "endless")]  # fmt: skip
    assert shown == [
        {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "5"}},
        {"Type": "local", "Config": {"max-size": "20m", "max-file": "5", "compress": "true"}},
        {"Type": "json-file", "Config": {"max-size": "3k"}},
        {"Type": "json-file", "Config": {"max-size": "-1"}},
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_rotated_files_are_compressed_and_read_as_if_they_were_not(daemon, form):
    flags = (
        "--log-driver",
        form,
        "--log-opt",
        "max-size=20k",
        "--log-opt",
        "max-file=100",
        "--log-opt",
        "compress=true",
    )
    run(daemon, "talker", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", *flags)
    # Whoever compresses goes on when container and monitor are gone, until only the last file is plain.
    until(lambda: len([path for path in log_files(daemon, "talker") if path.suffix != ".gz"]) == 1)
    packed = [path for path in log_files(daemon, "talker") if path.suffix == ".gz"]
    assert b"line " in gzip.decompress(packed[-1].read_bytes())
    everything = [f"line {number}" for number in range(20000)]
    assert daemon.out("logs", "talker").splitlines() == everything
    for tail in (1, 700, 19_999):
        assert daemon.out("logs", "--tail", tail, "talker").splitlines() == everything[-tail:]
    stamped = daemon.out("logs", "-t", "talker").splitlines()
    stamps = [line.split()[0] for line in stamped]
    assert len(set(stamps)) == len(stamps)
    assert stamps == sorted(stamps)
    for number in (0, 1, 3_000, 12_345, 19_999):
        assert daemon.out("logs", "--since", stamps[number], "talker").splitlines() == everything[number:]
        assert daemon.out("logs", "--until", stamps[number], "talker").splitlines() == everything[: number + 1]
    middle = daemon.out("logs", "--since", stamps[9_000], "--until", stamps[11_000], "--tail", 12_000, "talker")
    assert middle.splitlines() == everything[9_000:11_001]


def test_what_a_log_takes_on_disk_is_told(daemon):
    run(daemon, "talker", "seq 10000", "--log-opt", "max-size=50k", "--log-opt", "max-file=3")
    wanted = sum(path.stat().st_size for path in log_files(daemon, "talker"))
    assert int(daemon.out("inspect", "-s", "-f", "{{.SizeLog}}", "talker")) == wanted > 100_000
    with contextlib.closing(daemon.client()) as client:
        (found,) = [each for each in client.df()["Containers"] if each["Names"] == ["/talker"]]
    assert found["SizeLog"] == wanted


def test_bytes_that_are_no_text_come_back_unchanged_from_a_local_log(daemon):
    run(daemon, "noise", r"printf '\377\376\200 a\n\303\n\000<>\t'", "--log-driver", "local")
    assert daemon.docker("logs", "noise", text=False).stdout == b"\xff\xfe\x80 a\n\xc3\n\x00<>\t"


def test_output_that_looks_like_records_is_only_output(daemon):
    """A record of `local`, written by a container: it must not become one."""
    forged = record(STDERR, 1, 1, b"forged\n")
    text = b"before\n" + forged * 3 + b"\nafter\n"
    octal = "".join(f"\\{byte:03o}" for byte in text)
    run(daemon, "forger", f"printf '{octal}'", "--log-driver", "local")
    for flags in ((), ("--tail", "100"), ("--since", "1970-01-01T00:00:00Z")):
        done = daemon.docker("logs", *flags, "forger", text=False)
        assert (done.stdout, done.stderr) == (text, b"")


@pytest.mark.parametrize("form", FORMATS)
def test_details_are_what_the_options_choose(daemon, form):
    flags = ("--label", "la=1", "--label", "Lb.x=two words", "-e", "E1=v1", "-e", "OTHER=o", "--log-driver", form)
    flags += ("--log-opt", "labels=la,nosuch", "--log-opt", "labels-regex=^L", "--log-opt", "env=E1")
    flags += ("--log-opt", "env-regex=^NO", "--log-opt", "tag={{.Name}}/{{.ImageName}}")
    run(daemon, "labelled", "echo out; echo err >&2", *flags)
    wanted = "E1=v1,Lb.x=two+words,la=1,tag=labelled%2Fbusybox"
    done = daemon.docker("logs", "--details", "labelled")
    assert (done.stdout, done.stderr) == (f"{wanted} out\n", f"{wanted} err\n")
    assert daemon.docker("logs", "--details", "--tail", "1", "labelled").stderr == f"{wanted} err\n"


@pytest.mark.parametrize("form", FORMATS)
def test_clearing_forgets_what_was_said_and_followers_go_on(daemon, form):
    flags = ("--log-driver", form, "--log-opt", "max-size=4k", "--log-opt", "max-file=4")
    daemon.docker(
        "run", "-d", "-i", "--name", "echo", "--network", "none", *flags, "busybox", "sh", "-c",
        "trap 'echo again' USR1; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo ready; "
        "while :; do sleep 0.05; done",
    )  # fmt: skip
    until(lambda: "ready" in daemon.out("logs", "--tail", "1", "echo"))
    with subprocess.Popen(
        ["docker", "logs", "-f", "--tail", "1", "echo"], env=daemon.environment, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout.readline() == "ready\n"
        daemon.wherry("logs", "--clear", "echo")
        assert daemon.out("logs", "echo") == ""
        daemon.docker("kill", "-s", "USR1", "echo")
        assert follower.stdout.readline() == "again\n"
        daemon.docker("kill", "echo")
        assert follower.stdout.read() == ""
    daemon.docker("wait", "echo")
    assert daemon.out("logs", "echo") == "again"
    daemon.wherry("logs", "--clear", "echo")
    assert daemon.out("logs", "echo") == ""
    assert sum(path.stat().st_size for path in log_files(daemon, "echo")) == 0
    daemon.docker("start", "echo")
    until(lambda: "ready" in daemon.out("logs", "--tail", "1", "echo"))
    daemon.docker("rm", "-f", "echo")


def test_what_is_wrong_with_options_is_said_as_dockerd_says_it(daemon):
    for option, words in (
        ("foo=1", "unknown log opt 'foo' for json-file log driver"),
        ("mode=x", "logger: logging mode not supported: x"),
        ("max-buffer-size=1m", "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
    ):
        done = daemon.docker("create", "--log-opt", option, "busybox", check=False)
        assert words in done.stderr
    for option, words in (
        ("max-size=x", "invalid size: 'x'"),
        ("max-file=0", "max-file cannot be less than 1"),
        ("compress=x", 'strconv.ParseBool: parsing "x": invalid syntax'),
        ("tag={{.Nope}}", "can't evaluate field Nope in type *logger.Info"),
        ("labels-regex=[", "error parsing regexp: missing closing ]: `[`"),
    ):
        done = daemon.docker("run", "--log-opt", option, "--name", "wrong", "busybox", check=False)
        prefix = "failed to create task for container: failed to initialize logging driver: "
        assert prefix in done.stderr
        assert words in done.stderr
        assert prefix in daemon.out("inspect", "-f", "{{.State.Error}}", "wrong")
        daemon.docker("rm", "wrong")


def test_a_follower_is_sent_away_at_the_end_of_a_life_that_another_follows(daemon):
    script = "echo run; sleep 1; exit 1"
    daemon.docker("run", "-d", "--name", "again", "--restart", "on-failure:1", "busybox", "sh", "-c", script)
    assert daemon.out("logs", "-f", "again") == "run"
    daemon.docker("wait", "again")
    assert daemon.out("logs", "-f", "again") == "run\nrun"
