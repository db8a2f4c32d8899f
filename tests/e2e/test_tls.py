"""Docker's command line over TLS: whatever goes both ways arrives, and no client without a certificate is let in."""

import hashlib
import os

import pytest

SIZE = 20_000_000


@pytest.fixture(scope="module")
def secure(another_daemon, certificates):
    """The daemon with TLS on its address, and the flags that a client of it needs."""
    before = another_daemon.flags
    host, port = another_daemon.tcp
    pair = (f"--tlscert={certificates}/server.pem", f"--tlskey={certificates}/server-key.pem")
    another_daemon.flags = (f"--host=tcp://{host}:{port}", "--tlsverify", f"--tlscacert={certificates}/ca.pem", *pair)
    another_daemon.restart()
    client = (f"--tlscert={certificates}/client.pem", f"--tlskey={certificates}/client-key.pem")
    verified = ("-H", f"tcp://{host}:{port}", "--tlsverify", f"--tlscacert={certificates}/ca.pem")
    yield another_daemon, (*verified, *client), verified
    another_daemon.flags = before
    another_daemon.restart()


@pytest.mark.parametrize("program", ["docker", "wherry"])
def test_all_arrives_that_goes_in_and_out(secure, program, tmp_path):
    daemon, flags, _ = secure
    command = daemon.docker if program == "docker" else daemon.wherry
    data = os.urandom(SIZE)
    (tmp_path / "in").write_bytes(data)
    command(*flags, "run", "-d", "--name", "cc", "--network=none", "busybox", "sleep", "1000")
    try:
        command(*flags, "cp", tmp_path / "in", "cc:/there")
        told = command(*flags, "exec", "cc", "sha256sum", "/there").stdout.split()[0]
        assert told == hashlib.sha256(data).hexdigest()
        command(*flags, "cp", "cc:/there", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == data
        assert command(*flags, "exec", "-i", "cc", "cat", input=data, text=False).stdout == data
    finally:
        command(*flags, "rm", "-f", "cc")


@pytest.mark.parametrize("program", ["docker", "wherry"])
def test_a_client_without_a_certificate_is_sent_away(secure, program):
    daemon, _, flags = secure
    command = daemon.docker if program == "docker" else daemon.wherry
    done = command(*flags, "ps", check=False)
    assert done.returncode == 1
    assert "certificate required" in done.stderr
