"""`--link` by the real docker command line: variables, /etc/hosts, names, errors, all as recorded from dockerd 28.5."""

import json

import pytest

SLEEP = ("busybox", "sleep", "1000")


def run(daemon, name, *flags):
    return daemon.out("run", "-d", "--name", name, *flags, *SLEEP)


def hosts(daemon, name):
    lines = daemon.out("exec", name, "cat", "/etc/hosts").splitlines()
    return [line.split() for line in lines if line.startswith("10.")]


def address(daemon, name):
    return daemon.out("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name)


def links(daemon, name):
    return json.loads(daemon.out("inspect", "-f", "{{json .HostConfig.Links}}", name))


def names(daemon):
    return sorted(daemon.out("ps", "-a", "--no-trunc", "--format", "{{.Names}}").splitlines())


@pytest.fixture
def db(daemon):
    run(daemon, "db", "--expose", "80", "--expose", "53/udp", "-e", "A=b", "--hostname", "dbhost")
    return address(daemon, "db")


def test_a_linked_container_is_known_by_its_alias(daemon, db):
    run(daemon, "web", "--link", "db:my-db", "--link", "db", "-e", "DB_NAME=mine")
    said = daemon.out("exec", "web", "env").splitlines()
    assert {line for line in said if line.startswith(("DB_", "MY_DB"))} >= {
        f"MY_DB_PORT=tcp://{db}:80", f"MY_DB_PORT_53_UDP_ADDR={db}", "MY_DB_NAME=/web/my-db", "MY_DB_ENV_A=b",
        f"DB_PORT_80_TCP=tcp://{db}:80", "DB_NAME=mine",
    }  # fmt: skip
    own = daemon.out("inspect", "-f", "{{.Config.Hostname}}", "web")
    assert hosts(daemon, "web") == [
        [db, "my-db", "dbhost", "db"], [db, "db", "dbhost"], [address(daemon, "web"), own],
    ]  # fmt: skip
    assert daemon.out("exec", "web", "ping", "-c", "1", "my-db").startswith(f"PING my-db ({db})")
    assert links(daemon, "web") == ["/db:/web/my-db", "/db:/web/db"]
    assert names(daemon) == ["db,web/db,web/my-db", "web"]
    assert daemon.out("inspect", "-f", "{{.Name}}", "web/my-db") == "/db"
    assert daemon.out("run", "--rm", "--link", "db:x", "busybox", "env").count(f"X_PORT=tcp://{db}:80") == 1


def test_who_is_linked_follows_the_target_to_another_address(daemon, db):
    run(daemon, "web", "--link", "db:data")
    daemon.docker("exec", "web", "sh", "-c", "echo 1.1.1.1 mine >> /etc/hosts")
    daemon.docker("stop", "-t", "0", "db")
    assert hosts(daemon, "web")[0][0] == db
    # Somebody takes its place, as soon as the address is given out again.
    for number in range(20):
        run(daemon, f"other{number}")
        if address(daemon, f"other{number}") == db:
            break
    daemon.docker("start", "db")
    now = address(daemon, "db")
    assert now != db
    assert hosts(daemon, "web")[0] == [now, "data", "dbhost", "db"]
    assert "1.1.1.1 mine" in daemon.out("exec", "web", "cat", "/etc/hosts")
    assert f"DATA_PORT=tcp://{now}:80" in daemon.out("exec", "web", "env")
    daemon.kill()
    daemon.start()
    assert hosts(daemon, "web")[0] == [now, "data", "dbhost", "db"]
    assert links(daemon, "web") == ["/db:/web/data"]


def test_a_target_must_run_when_one_starts(daemon, db):
    daemon.docker("create", "--name", "web", "--link", "db:data", *SLEEP)
    daemon.docker("stop", "-t", "0", "db")
    done = daemon.docker("start", "web", check=False)
    words = "Cannot link to a non running container: /db AS /web/data"
    assert words in done.stderr
    assert words in daemon.out("inspect", "-f", "{{.State.Error}}", "web")
    daemon.docker("start", "db")
    daemon.docker("start", "web")
    daemon.docker("stop", "-t", "0", "db")
    assert "DATA" not in daemon.out("exec", "web", "env")


WRONG = {
    ("--link", "nosuch:x"): "could not get container for nosuch: No such container: nosuch",
    ("--name", "me", "--link", "me:x"): "could not get container for me: No such container: me",
    ("--network", "host", "--link", "db:x"): "conflicting options: host type networking can't be used with links. "
    "This would result in undefined behavior",
    ("--network", "container:db", "--link", "db:x"): "conflicting options: container type network can't be used with "
    "links. This would result in undefined behavior",
    ("--link", "of-host:x"): "conflicting options: host type networking can't be used with links. "
    "This would result in undefined behavior",
    ("--link", "of-none:x"): "not attached to default bridge network",
}


def test_what_cannot_be_linked_is_refused_in_dockerds_words(daemon, db):
    run(daemon, "of-host", "--network", "host")
    run(daemon, "of-none", "--network", "none")
    run(daemon, "of-db", "--network", "container:db")
    for flags, words in WRONG.items():
        done = daemon.docker("run", "--rm", *flags, "busybox", "true", check=False)
        assert words in done.stderr, flags
    # A network that is another container's is that one's; without a network of its own a container knows nobody.
    assert f"{db}\tx dbhost db" in daemon.out("run", "--rm", "--link", "of-db:x", "busybox", "cat", "/etc/hosts")
    assert daemon.out("run", "--rm", "--network", "none", "--link", "db:x", "busybox", "env").count("X_") == 0


def test_a_link_is_removed_by_its_name(daemon, db):
    run(daemon, "web", "--link", "db:data", "--link", "db:/x/y")
    assert names(daemon) == ["db,web/data,web/x/y", "web"]
    daemon.docker("rm", "--link", "web/data")
    assert links(daemon, "web") == ["/db:/web/x/y"]
    assert hosts(daemon, "web")[0][1] == "y"
    for name, words in {
        "web": "Conflict, cannot remove the default link name of the container",
        "nosuch/data": "No such container: nosuch/data",
        "web/data": "No such container: web/data",
    }.items():
        assert words in daemon.docker("rm", "--link", name, check=False).stderr
    daemon.docker("rename", "web", "other")
    assert links(daemon, "other") == ["/db:/other/x/y"]
    daemon.docker("rename", "db", "renamed")
    assert links(daemon, "other") == ["/renamed:/other/x/y"]
    daemon.docker("rm", "-f", "renamed")
    assert names(daemon) == ["other"]
    assert "Cannot link to a non running container" in daemon.docker("restart", "-t", "0", "other", check=False).stderr


def test_both_command_lines_show_links_alike(daemon, db):
    run(daemon, "web", "--link", "db:data")
    table = ("ps", "--format", "table {{.ID}}\t{{.Names}}")  # without times, which go on between the two
    for words in (table, (*table, "--no-trunc"), ("inspect", "-f", "{{json .HostConfig.Links}}", "web")):
        assert daemon.wherry(*words).stdout == daemon.docker(*words).stdout
    daemon.wherry("rm", "--link", "web/data")
    assert links(daemon, "web") is None
