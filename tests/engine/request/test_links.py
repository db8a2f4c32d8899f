"""Links as clients write them, and the variables that dockerd 28.5 was seen to make of one."""

import pytest

from wherry.engine.request.links import link_environment, parse_link
from wherry.model.errors import InvalidParameter
from wherry.networks.files import with_address


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("db", ("db", "db")), ("db:data", ("db", "data")), ("db:", ("db", "")), ("db:/x/y", ("db", "/x/y")),
        ("/db:/me/data", ("db", "data")),
    ],
)  # fmt: skip
def test_a_link_is_a_name_and_an_alias(text, parsed):
    assert parse_link(text) == parsed


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty string specified for links"), ("a:b:c", "bad format for links: a:b:c")]
)
def test_what_is_no_link_says_so(text, words):
    with pytest.raises(InvalidParameter, match=f"^{words}$"):
        parse_link(text)


def test_variables_name_every_port_the_first_and_those_in_a_row():
    exposed = ("8001/tcp", "53/udp", "8000/tcp", "9/tcp")
    environment = ("A=b", "PATH=/x", "HOME=/y", "S=x y=z", "bare")
    assert link_environment("/me/my-db", "1.2.3.4", environment=environment, exposed=exposed) == [
        "MY_DB_PORT=tcp://1.2.3.4:9",
        "MY_DB_PORT_9_TCP=tcp://1.2.3.4:9",
        "MY_DB_PORT_9_TCP_ADDR=1.2.3.4",
        "MY_DB_PORT_9_TCP_PORT=9",
        "MY_DB_PORT_9_TCP_PROTO=tcp",
        "MY_DB_PORT_8000_TCP=tcp://1.2.3.4:8000",
        "MY_DB_PORT_8000_TCP_ADDR=1.2.3.4",
        "MY_DB_PORT_8000_TCP_PORT=8000",
        "MY_DB_PORT_8000_TCP_PROTO=tcp",
        "MY_DB_PORT_8001_TCP=tcp://1.2.3.4:8001",
        "MY_DB_PORT_8001_TCP_ADDR=1.2.3.4",
        "MY_DB_PORT_8001_TCP_PORT=8001",
        "MY_DB_PORT_8001_TCP_PROTO=tcp",
        "MY_DB_PORT_53_UDP=udp://1.2.3.4:53",
        "MY_DB_PORT_53_UDP_ADDR=1.2.3.4",
        "MY_DB_PORT_53_UDP_PORT=53",
        "MY_DB_PORT_53_UDP_PROTO=udp",
        "MY_DB_PORT_8000_TCP_START=tcp://1.2.3.4:8000",
        "MY_DB_PORT_8000_TCP_PORT_START=8000",
        "MY_DB_PORT_8000_TCP_END=tcp://1.2.3.4:8001",
        "MY_DB_PORT_8000_TCP_PORT_END=8001",
        "MY_DB_NAME=/me/my-db",
        "MY_DB_ENV_A=b",
        "MY_DB_ENV_S=x y=z",
    ]


def test_a_service_without_ports_or_environment_has_a_name_only():
    assert link_environment("/me/a/b", "1.2.3.4", environment=(), exposed=()) == ["B_NAME=/me/a/b"]


def test_an_address_changes_in_the_lines_of_its_name_only():
    hosts = b"127.0.0.1\tlocalhost\n1.2.3.4\tdb host\n1.2.3.4\tdb2 db\n# mine\n1.2.3.4  db\n"
    assert with_address(hosts, "5.6.7.8", "db") == (
        b"127.0.0.1\tlocalhost\n5.6.7.8\tdb host\n1.2.3.4\tdb2 db\n# mine\n5.6.7.8  db\n"
    )
