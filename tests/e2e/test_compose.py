"""Docker Compose: services of one project on the default bridge, up, looked at, scaled, restarted and down again."""

import json
import shutil
import subprocess

import pytest

FILE = """
services:
  web:
    image: busybox
    command: ["httpd", "-f", "-v", "-p", "80", "-h", "/etc"]
    network_mode: bridge
    environment: {GREETING: hello}
    labels: {part: front}
    volumes: ["kept:/kept", "./here:/here:ro"]
    stop_signal: SIGKILL
  worker:
    image: busybox
    command: ["sh", "-c", "echo working; sleep 1000"]
    network_mode: bridge
    depends_on: [web]
    stop_signal: SIGKILL
    restart: unless-stopped
volumes:
  kept: {}
"""


def programs():
    found = []
    if shutil.which("docker-compose"):
        found.append("docker-compose")
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        found.append("docker compose")
    return found or [pytest.param("", marks=pytest.mark.skip("docker-compose is not installed"))]


@pytest.fixture(params=programs())
def compose(request, daemon, tmp_path, monkeypatch):
    """Run a command of one project; it is down when the test ends."""
    # docker-compose 1.29 reads what images have no more since 1.45, with dockerd as with us.
    monkeypatch.setenv("COMPOSE_API_VERSION", "1.43")
    (tmp_path / "compose.yml").write_text(FILE if request.param == "docker compose" else f'version: "3.7"\n{FILE}')
    (tmp_path / "here").mkdir()
    (tmp_path / "here/said").write_text("from outside")

    def compose(*words, check=True, **options):
        command = [*request.param.split(), "-f", str(tmp_path / "compose.yml"), "-p", "project", *words]
        return daemon.run(*command, check=check, cwd=tmp_path, **options)

    yield compose
    compose("down", "-v", "--remove-orphans", "-t", "0", check=False)


def running(daemon):
    shown = daemon.out("ps", "--format", '{{.Label "com.docker.compose.service"}}')
    return sorted(shown.split())


def test_a_project_goes_up_is_looked_at_and_goes_down(daemon, compose):
    compose("up", "-d")
    assert running(daemon) == ["web", "worker"]
    shown = compose("ps").stdout
    assert "web" in shown
    assert "worker" in shown
    assert compose("exec", "-T", "web", "sh", "-c", "echo $GREETING; cat /here/said").stdout == "hello\nfrom outside"
    assert compose("exec", "-T", "web", "sh", "-c", "exit 5", check=False).returncode == 5
    assert "working" in compose("logs", "worker").stdout
    (name,) = daemon.out("ps", "-q", "-f", "label=part=front").split()
    mounts = json.loads(daemon.out("inspect", "-f", "{{json .Mounts}}", name))
    assert sorted(mount["Destination"] for mount in mounts) == ["/here", "/kept"]
    assert daemon.out("volume", "ls", "-q") == "project_kept"
    compose("down", "-v")
    assert daemon.out("ps", "-aq") == ""
    assert daemon.out("volume", "ls", "-q") == ""


def test_what_did_not_change_stays_and_what_did_is_made_anew(daemon, compose, tmp_path):
    compose("up", "-d")
    before = set(daemon.out("ps", "-q", "--no-trunc").split())
    compose("up", "-d")
    assert set(daemon.out("ps", "-q", "--no-trunc").split()) == before
    path = tmp_path / "compose.yml"
    path.write_text(path.read_text().replace("hello", "goodbye"))
    compose("up", "-d", "--no-deps", "web")
    assert compose("exec", "-T", "web", "sh", "-c", "echo $GREETING").stdout == "goodbye\n"
    assert len(before - set(daemon.out("ps", "-q", "--no-trunc").split())) == 1


def test_services_are_scaled_stopped_started_and_restarted(daemon, compose):
    compose("up", "-d", "--scale", "worker=3")
    assert running(daemon) == ["web", "worker", "worker", "worker"]
    compose("up", "-d", "--scale", "worker=1")
    assert running(daemon) == ["web", "worker"]
    compose("stop", "worker")
    assert running(daemon) == ["web"]
    compose("start", "worker")
    (name,) = daemon.out("ps", "-q", "-f", "label=com.docker.compose.service=worker").split()
    pid = daemon.out("inspect", "-f", "{{.State.Pid}}", name)
    compose("restart", "-t", "0", "worker")
    assert daemon.out("inspect", "-f", "{{.State.Pid}}", name) != pid
    compose("pause", "worker")
    assert daemon.out("inspect", "-f", "{{.State.Paused}}", name) == "true"
    compose("unpause", "worker")
    compose("kill", "worker")
    compose("rm", "-f", "-s", "worker")
    assert running(daemon) == ["web"]


def test_one_command_runs_in_a_service_and_gives_its_code(compose):
    done = compose("run", "--rm", "-T", "worker", "sh", "-c", "echo ran; exit 4", check=False)
    assert done.returncode == 4
    assert "ran" in done.stdout


def test_what_is_in_the_foreground_ends_with_the_container_that_ends(compose, tmp_path):
    path = tmp_path / "compose.yml"
    path.write_text(
        path.read_text().replace("sleep 1000", "exit 7").replace("restart: unless-stopped", "restart: 'no'")
    )
    done = compose("up", "--exit-code-from", "worker", check=False)
    assert done.returncode == 7
    assert "working" in done.stdout


def test_a_network_of_the_projects_own_is_refused_by_name(daemon, compose, tmp_path):
    path = tmp_path / "compose.yml"
    path.write_text(path.read_text().replace("    network_mode: bridge\n", ""))
    done = compose("up", "-d", check=False)
    assert done.returncode != 0
    assert "not served by Wherry yet" in done.stdout + done.stderr
    assert daemon.out("ps", "-aq") == ""
