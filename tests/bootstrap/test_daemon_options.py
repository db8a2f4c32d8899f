"""Options as settings: defaults, checks, what belongs together."""

from pathlib import Path

import pytest

from wherry.bootstrap.daemon_options import read_options
from wherry.bootstrap.flags import FlagError
from wherry.bootstrap.hosts import InheritedHost, TcpHost, UnixHost

NOFILE = (1024, 4096)


@pytest.fixture
def options(tmp_path):
    (tmp_path / "daemon.json").write_text("{}")

    def options(line=""):
        return read_options([f"--config-file={tmp_path}/daemon.json", *line.split()], original_nofile=NOFILE)

    return options


def test_defaults_are_wherrys_own_places(options):
    said = options()
    assert said.serving.hosts == (UnixHost("/run/wherry.sock"),)
    assert (said.settings.data_root, said.settings.exec_root) == (Path("/var/lib/wherry"), Path("/run/wherry"))
    assert said.serving.pidfile == Path("/run/wherry.pid")
    assert said.settings.original_nofile == NOFILE
    assert said.settings.bridge.name == ""
    assert said.serving.tls is None


def test_hosts_are_parsed(options):
    assert options("-H unix:///a -H fd:// -H 127.0.0.1:1 -H [::1]:2 --tls=false").serving.hosts == (
        UnixHost("/a"),
        InheritedHost(""),
        TcpHost("127.0.0.1", 1),
        TcpHost("::1", 2),
    )


def test_tcp_without_tls_must_be_meant(options):
    with pytest.raises(FlagError, match="root access on this machine"):
        options("-H tcp://127.0.0.1:2375")
    assert options("-H tcp://127.0.0.1:2375 --tls=false").serving.tls is None
    tls = options("-H tcp://127.0.0.1 --tlsverify --tlscert /c --tlskey /k --tlscacert /a").serving.tls
    assert tls is not None
    assert (tls.certificate, tls.key, tls.clients_ca) == (Path("/c"), Path("/k"), Path("/a"))
    only_tls = options("-H tcp://127.0.0.1 --tls").serving.tls
    assert only_tls is not None
    assert only_tls.clients_ca is None


REFUSED = {
    "--log-level=foo": "invalid logging level: foo",
    "--log-format=foo": "invalid log format: foo",
    "--mtu=-1": "invalid default MTU: -1",
    "--label=a=b --label=a=c": "conflict labels for a=c and a=b",
    "--max-download-attempts=0": "invalid max download attempts: 0",
    "-b br0 --bip 1.2.3.4/24": "You specified -b & --bip, mutually exclusive options. Please specify only one",
    "--exec-opt native.cgroupdriver=systemd": (
        "--exec-opt native.cgroupdriver=systemd is not served by Wherry yet: cgroups are managed as files (cgroupfs)"
    ),
    "--exec-opt other=1": "--exec-opt other is not served by Wherry yet",
    "--default-ipc-mode shareable": "--default-ipc-mode shareable is not served by Wherry yet: it is always private",
}


@pytest.mark.parametrize("line", REFUSED)
def test_values_that_cannot_be_are_refused(line, options):
    with pytest.raises(FlagError) as refused:
        options(line)
    assert str(refused.value) == REFUSED[line]


def test_options_of_the_file_are_checked_like_flags(tmp_path):
    (tmp_path / "daemon.json").write_text('{"userns-remap": "default"}')
    with pytest.raises(FlagError, match="--userns-remap is not served"):
        read_options([f"--config-file={tmp_path}/daemon.json"], original_nofile=NOFILE)
