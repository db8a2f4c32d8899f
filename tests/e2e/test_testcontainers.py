"""Containers of testcontainers-python, as a test suite uses them."""

import http.client

import pytest

testcontainers = pytest.importorskip("testcontainers.core.container")
from testcontainers.core import config, docker_client  # noqa: E402
from testcontainers.core.container import DockerContainer  # noqa: E402
from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: E402
from testcontainers.core.waiting_utils import wait_for_logs  # noqa: E402


@pytest.fixture(autouse=True)
def engine(daemon, monkeypatch):
    """Its clients come to the shared daemon; its reaper is a container that would need an image from a registry."""
    monkeypatch.setattr(config.testcontainers_config, "ryuk_disabled", True)
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    monkeypatch.setenv("DOCKER_CONFIG", daemon.environment["DOCKER_CONFIG"])
    monkeypatch.setattr(docker_client, "get_docker_host", lambda: daemon.host)
    clients = []
    made = docker_client.docker.from_env
    monkeypatch.setattr(docker_client.docker, "from_env", lambda **said: clients.append(made(**said)) or clients[-1])
    yield
    for client in clients:
        client.close()


def test_a_container_lives_as_long_as_its_context(daemon):
    with DockerContainer("busybox").with_command("sleep 1000").with_name("held").with_env("A", "b") as container:
        assert daemon.out("inspect", "-f", "{{.State.Running}}", "held") == "true"
        done = container.exec(["sh", "-c", "echo $A"])
        assert (done.exit_code, done.output) == (0, b"b\n")
        assert container.exec("false").exit_code == 1
        assert container.get_wrapped_container().name == "held"
    assert daemon.out("ps", "-aq") == ""


def test_it_is_waited_for_by_what_it_logs():
    script = "echo getting up; sleep 0.1; echo ready; sleep 1000"
    with DockerContainer("busybox").with_command(["sh", "-c", script]) as container:
        wait_for_logs(container, "ready", timeout=20)
        assert container.get_logs()[0] == b"getting up\nready\n"


def test_its_strategies_wait_too():
    container = DockerContainer("busybox").with_command(["sh", "-c", "echo server is up; sleep 1000"])
    with container.waiting_for(LogMessageWaitStrategy("server is up")) as started:
        assert b"server is up" in started.get_logs()[0]


def test_its_ports_are_reached_from_here():
    serving = DockerContainer("busybox").with_command(["httpd", "-f", "-p", "80", "-h", "/etc"]).with_exposed_ports(80)
    with serving as container:
        port = container.get_exposed_port(80)
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
        while True:
            try:
                connection.request("GET", "/passwd")
                break
            except ConnectionRefusedError:
                connection.close()
        assert connection.getresponse().read().startswith(b"root:")
        connection.close()


def test_volumes_and_options_are_the_containers(tmp_path, daemon):
    (tmp_path / "said").write_text("from outside")
    container = DockerContainer("busybox").with_command("sleep 1000").with_name("optioned")
    container.with_volume_mapping(str(tmp_path), "/mnt", "ro").with_kwargs(mem_limit="64m", labels={"x": "y"})
    with container as held:
        assert held.exec(["cat", "/mnt/said"]).output == b"from outside"
        assert held.exec(["touch", "/mnt/new"]).exit_code == 1
        assert daemon.out("inspect", "-f", "{{.HostConfig.Memory}} {{.Config.Labels.x}}", "optioned") == "67108864 y"


def test_an_image_that_is_not_there_is_an_error_of_docker_py(daemon):
    from docker.errors import APIError, ImageNotFound

    with pytest.raises((ImageNotFound, APIError)), DockerContainer("localhost:1/nosuch:none"):
        pass
    assert daemon.out("ps", "-aq") == ""
