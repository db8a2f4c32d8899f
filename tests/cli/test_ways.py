"""The ways to a daemon: ssh, TLS over TCP, and what config.json adds."""

import http.server
import json
import os
import ssl
import subprocess
import sys
import threading

import pytest


def run(*words, **variables):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    command = [sys.executable, "-m", "wherry", *words]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment, timeout=60
    )


def test_ssh_carries_the_connection(recorder, tmp_path):
    """`ssh` here is a program that notes its flags and runs what the other computer would."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/flags\nwhile [ "$1" != -- ]; do shift; done\nshift 3\n'
        f'exec {sys.executable} -m wherry -H {recorder.host} "$@"\n'
    )
    ssh.chmod(0o755)
    done = run("-H", "ssh://me@far:22", "kill", "x", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "x\n", "")
    assert (tmp_path / "flags").read_text().split()[:4] == ["-l", "me", "-p", "22"]
    assert [path for _, path, _ in recorder.seen] == ["/v1.50/containers/x/kill"]


def test_without_ssh_the_user_is_told(tmp_path):
    done = run("-H", "ssh://far", "ps", PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "the address asks for ssh, but there is no program `ssh` in $PATH\n")


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("Api-Version", "1.51")
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"[]")

    do_HEAD = do_GET


@pytest.fixture
def secure(tmp_path):
    """A daemon that wants a certificate of its clients; its port and the directory of everybody's certificate."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "ca.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1], tmp_path
    server.shutdown()
    thread.join()
    server.server_close()


def test_tls_by_dockers_variables_and_by_flags(secure):
    port, directory = secure
    host = f"tcp://localhost:{port}"
    done = run("ps", "-q", DOCKER_HOST=host, DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(directory))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    flags = [f"--tls{name}={directory}/{name}.pem" for name in ("cert", "key")]
    done = run("-H", host, "--tlsverify", f"--tlscacert={directory}/ca.pem", *flags, "ps", "-q")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_daemon_that_nobody_vouches_for_is_refused(secure):
    port, _ = secure
    done = run("-H", f"tcp://localhost:{port}", "--tlsverify", "ps")
    assert done.returncode == 1
    assert "certificate verify failed" in done.stderr


def test_headers_and_formats_come_from_the_users_settings(recorder, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"psFormat": "{{.ID}}", "HttpHeaders": {"X-Me": "1"}}))
    done = run("--config", str(tmp_path), "-D", "-H", recorder.host, "kill", "x")
    assert done.returncode == 0
    assert "DEBU POST /v1.50/containers/x/kill" in done.stderr


def test_our_own_variable_wins(recorder):
    done = run("kill", "x", DOCKER_HOST="unix:///nosuch", WHERRY_HOST=recorder.host)
    assert (done.returncode, done.stdout) == (0, "x\n")


def test_the_api_version_can_be_fixed(recorder):
    assert run("-H", recorder.host, "kill", "x", DOCKER_API_VERSION="1.40").returncode == 0
    assert recorder.seen == [("POST", "/v1.40/containers/x/kill", None)]
