"""Bodies of `POST /containers/create` with one field wrong, each held against what dockerd 28.5 says of it.

`create.jsonl` has a line for each: the field, dockerd's status and words, and Wherry's where they are meant to be
others. Where dockerd says 500 of a client's mistake, Wherry says the same words with 400. With `WHERRY_DOCKERD_28`,
the unix socket of such a dockerd that has an image busybox, the table itself is held against it.
"""

import http.client
import json
import os
import socket
from pathlib import Path

import pytest

TABLE = [json.loads(line) for line in Path(__file__).with_name("create.jsonl").read_text().splitlines()]
PEER = os.environ.get("WHERRY_DOCKERD_28", "")


class Connection(http.client.HTTPConnection):
    """Many requests over one unix socket."""

    def __init__(self, path):
        super().__init__("docker", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, target, body=None):
        self.request(method, target, body, {"Content-Type": "application/json"} if body else {})
        answer = self.getresponse()
        return answer.status, answer.read()

    def outcome(self, field):
        """The status and the words for a container with that field; one that was made is removed."""
        body = '{"Image":"busybox","Cmd":["true"],' + field + "}"
        status, told = self.ask("POST", "/containers/create", body.encode())
        if status != 201:
            return [status, json.loads(told)["message"]]
        assert self.ask("DELETE", f"/containers/{json.loads(told)['Id']}?force=1&v=1")[0] == 204
        return [status, ""]


def _differences(path, expected):
    connection = Connection(path)
    try:
        found = [(row[0], expected(row), connection.outcome(row[0])) for row in TABLE]
    finally:
        connection.close()
    return "\n".join(f"{field}\n  {wanted}\n  {got}" for field, wanted, got in found if wanted != got)


def _of_wherry(row):
    _, status, words, *ours = row
    return ours[0] if ours else [400 if status == 500 else status, words]


def test_a_wrong_field_is_refused_as_dockerd_does(fuzzed):
    assert len(TABLE) > 600
    assert not _differences(fuzzed.socket, _of_wherry)
    fuzzed.says_nothing_of_python()


@pytest.mark.peer
@pytest.mark.skipif(not PEER, reason="no socket of a dockerd 28.5 in WHERRY_DOCKERD_28")
@pytest.mark.timeout(900)
def test_the_table_is_what_dockerd_says():
    assert not _differences(PEER, lambda row: row[1:3])
