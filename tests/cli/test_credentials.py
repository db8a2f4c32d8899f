"""Credentials from config.json and from helper programs."""

import base64
import json
import os

import pytest

from wherry.cli import credentials, settings
from wherry.cli.errors import CommandError


def header(value):
    return json.loads(base64.urlsafe_b64decode(value))


def test_what_login_keeps_is_what_pull_sends(tmp_path):
    values = {}
    credentials.remember(values, "host:5000", {"username": "me", "password": "a:b"})
    settings.store(str(tmp_path), values)
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o600
    again = settings.load(str(tmp_path))
    assert header(credentials.registry_auth(again, "host:5000")) == {
        "serveraddress": "host:5000",
        "username": "me",
        "password": "a:b",
    }
    assert header(credentials.registry_auth(again, "other")) == {"serveraddress": "other"}


def test_the_key_may_be_written_as_an_address():
    values = {"auths": {"https://host:5000/v1/": {"auth": base64.b64encode(b"me:pw").decode()}}}
    assert credentials.lookup(values, "host:5000")["username"] == "me"
    assert credentials.forget(values, "host:5000")
    assert values == {"auths": {}}


@pytest.fixture
def helper(tmp_path, monkeypatch):
    program = tmp_path / "docker-credential-test"
    program.write_text(
        "#!/bin/sh\nread -r line || :\n"
        'case "$1 $line" in\n'
        '"get known") echo \'{"Username":"u","Secret":"s"}\';;\n'
        '"get token") echo \'{"Username":"<token>","Secret":"t"}\';;\n'
        '"get broken") echo oops; exit 1;;\n'
        "get*) echo credentials not found in native keychain; exit 1;;\n"
        f'*) echo "$1 $line" >> {tmp_path}/log;;\nesac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_helpers_are_asked(helper):
    values = {"credsStore": "nosuch", "credHelpers": dict.fromkeys(("known", "token", "unknown", "broken"), "test")}
    assert credentials.lookup(values, "known") == {"serveraddress": "known", "username": "u", "password": "s"}
    assert credentials.lookup(values, "token") == {"serveraddress": "token", "identitytoken": "t"}
    assert credentials.lookup(values, "unknown") == {"serveraddress": "unknown"}
    with pytest.raises(CommandError, match="out: `oops`"):
        credentials.lookup(values, "broken")
    with pytest.raises(CommandError, match="docker-credential-nosuch"):
        credentials.lookup(values, "elsewhere")


def test_helpers_keep_secrets_out_of_the_file(helper):
    values = {"credsStore": "test"}
    assert credentials.remember(values, "host", {"username": "u", "password": "p"})
    assert values["auths"] == {"host": {}}
    assert json.loads((helper / "log").read_text().partition(" ")[2]) == {
        "ServerURL": "host",
        "Username": "u",
        "Secret": "p",
    }


def test_a_broken_file_is_told(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CommandError, match="loading config file"):
        settings.load(str(tmp_path))
