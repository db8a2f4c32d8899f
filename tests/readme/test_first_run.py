"""`scripts/first-run`, what `make run` ends with: a daemon, an image without a registry, a container that greets."""

import re

GREETING = r"""Making the image busybox of \S+

Hello from a container of Wherry\.
  host name   ferry
  process id  1
  address     172\.17\.0\.2
  memory      64 MiB at most

The daemon runs on\. Next you could type:
"""


def test_it_greets_from_a_container_and_leaves_the_daemon_running(machine):
    said, _ = machine.type("scripts/first-run")
    assert re.match(GREETING, said), said
    assert machine.type("cat /run/wherry.pid | xargs ps -o comm= -p")[0].startswith("wherryd")
    assert machine.type(".venv/bin/wherry images -q | wc -l")[0] == "1\n"


def test_a_second_run_finds_the_image(machine):
    machine.type("scripts/first-run")
    said, _ = machine.type("scripts/first-run")
    assert "Making the image" not in said
    assert "Hello from a container of Wherry." in said


def test_what_it_proposes_can_be_typed(machine):
    said, _ = machine.type("scripts/first-run")
    proposed = [line.strip() for line in said.partition("could type:\n")[2].splitlines()]
    (server,) = [line for line in proposed if " -p 8080:80 " in line]
    machine.type(server)
    answer, _ = machine.type("curl -s --retry 9 --retry-connrefused http://127.0.0.1:8080/")
    assert answer == "hello\n"


def test_another_daemon_is_named_by_wherry_host(machine):
    said, _ = machine.type("WHERRY_HOST=unix:///run/other.sock scripts/first-run")
    assert "Cannot connect to the Wherry daemon at unix:///run/other.sock" in said
