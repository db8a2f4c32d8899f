"""A whole daemon answers wrong requests with dockerd 28.5's status and words (taken down from a real one).

Where dockerd answers 500 to what is the client's mistake, Wherry answers 400 with the same words.
"""

import io
import json
import tarfile

import pytest


@pytest.fixture(scope="module")
def api(running_daemon):
    """A daemon with the image `small` and a container `made` that never ran."""
    with running_daemon() as api:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("file"))
        status, told, _ = api.ask("POST", "/images/create?fromSrc=-&repo=small", archive.getvalue())
        assert status == 200, told
        status, told, _ = api.ask("POST", "/containers/create?name=made", b'{"Image":"small","Cmd":["x"]}')
        assert status == 201, told
        yield api
        assert api.ask("DELETE", "/containers/made?force=1")[0] == 204


NO_STREAM = "Bad parameters: you must choose at least one stream"
NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)
UPPER = "invalid reference format: repository name (library/UPPER) must be lowercase"

REFUSED = [
    ("GET", "/v1.99/info", 400, "client version 1.99 is too new. Maximum supported API version is 1.51"),
    ("GET", "/v2.0/info", 400, "client version 2.0 is too new. Maximum supported API version is 1.51"),
    ("GET", "/nosuch", 404, "page not found"),
    ("PUT", "/info", 404, "page not found"),
    ("GET", "/containers/json?limit=abc", 400, 'strconv.Atoi: parsing "abc": invalid syntax'),
    ("GET", "/containers/json?filters=xx", 400, "invalid filter"),
    ("GET", '/containers/json?filters={"nosuch":["a"]}', 400, "invalid filter 'nosuch'"),
    ("GET", '/images/json?filters={"x":["y"]}', 400, "invalid filter 'x'"),
    ("GET", '/networks?filters={"x":["y"]}', 400, "invalid filter 'x'"),
    ("GET", '/volumes?filters={"x":["y"]}', 400, "invalid filter 'x'"),
    ("GET", "/containers/nosuch/json", 404, "No such container: nosuch"),
    ("GET", "/containers/a/b/json", 404, "No such container: a/b"),
    ("GET", "/containers/%00/json", 404, "No such container: \0"),
    ("GET", f"/containers/{'a' * 65}/json", 404, f"No such container: {'a' * 65}"),
    ("GET", "/containers/made/logs", 400, NO_STREAM),
    ("GET", "/containers/nosuch/logs", 400, NO_STREAM),
    ("GET", "/containers/nosuch/logs?stdout=1", 404, "No such container: nosuch"),
    ("GET", "/containers/made/logs?stdout=1&since=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
    ("POST", "/containers/nosuch/start", 404, "No such container: nosuch"),
    ("POST", "/containers/made/stop", 304, ""),
    ("POST", "/containers/made/stop?t=abc", 400, 'strconv.Atoi: parsing "abc": invalid syntax'),
    ("POST", "/containers/made/resize?h=a&w=1", 400, 'invalid resize height "a": invalid syntax'),
    ("POST", "/containers/made/resize", 400, 'invalid resize height "": invalid syntax'),
    ("POST", "/containers/made/resize?h=1&w=4294967296", 400, 'invalid resize width "4294967296": value out of range'),
    ("POST", "/containers/made/rename", 400, "Neither old nor new names may be empty"),
    ("POST", "/containers/made/wait?condition=bad", 400, 'invalid condition: "bad"'),
    ("POST", "/containers/nosuch/wait", 404, "No such container: nosuch"),
    ("POST", "/containers/made/attach?stream=1&detachKeys=foo", 400, "Invalid detach keys (foo) provided"),
    ("POST", "/containers/nosuch/attach", 404, "No such container: nosuch"),
    ("GET", "/containers/made/attach/ws", 400, "not websocket protocol"),
    ("DELETE", "/containers/nosuch", 404, "No such container: nosuch"),
    ("GET", "/containers/nosuch/top", 404, "No such container: nosuch"),
    ("POST", "/containers/made/exec", 400, "No exec command specified"),
    ("GET", "/exec/nosuch/json", 404, "No such exec instance: nosuch"),
    ("POST", "/exec/nosuch/start", 404, "No such exec instance: nosuch"),
    ("POST", "/exec/nosuch/resize?h=1&w=1", 404, "No such exec instance: nosuch"),
    ("GET", "/images/nosuch/json", 404, "No such image: nosuch:latest"),
    ("GET", "/images/a/b/c/history", 404, "No such image: a/b/c:latest"),
    ("DELETE", "/images/nosuch", 404, "No such image: nosuch:latest"),
    ("POST", "/images/create?fromImage=UPPER", 400, UPPER),
    ("POST", "/images/small/tag?repo=UPPER", 400, UPPER),
    ("POST", "/images/nosuch/tag?repo=a", 404, "No such image: nosuch:latest"),
    (
        "GET", "/images/small/json?platform=x", 400,
        "failed to parse platform: invalid character 'x' looking for beginning of value",
    ),
    ("GET", "/networks/nosuch", 404, "network nosuch not found"),
    (
        "GET", "/networks/bridge?verbose=x", 400,
        'invalid value for verbose: x: strconv.ParseBool: parsing "x": invalid syntax',
    ),
    ("GET", "/networks/bridge?scope=x", 404, "network bridge not found"),
    ("GET", "/volumes/nosuch", 404, "get nosuch: no such volume"),
    ("DELETE", "/volumes/nosuch", 404, "get nosuch: no such volume"),
    ("GET", "/events?since=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
    ("GET", "/events?until=1&since=2", 400, "`since` time (2) cannot be after `until` time (1)"),
    ("GET", "/system/df?type=bad", 400, "unknown object type: bad"),
    ("GET", "/swarm", 503, NO_SWARM),
    ("GET", "/nodes", 503, NO_SWARM),
    ("POST", "/build", 501, "POST /build is not served by Wherry yet"),
    ("GET", "/containers/made/stats?one-shot=1", 400, "cannot have stream=true and one-shot=true"),
    ("GET", "/containers/nosuch/stats", 404, "No such container: nosuch"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "status", "words"), REFUSED, ids=lambda value: str(value)[:50])
def test_a_wrong_request_is_refused(api, method, target, status, words):
    assert api.words(method, target) == (status, words)


REFUSED_BODIES = [
    ("/containers/create", "", 400, "invalid JSON: got EOF while reading request body"),
    ("/containers/create", "null", 400, "config cannot be empty in order to create a container"),
    ("/containers/create", '{"HostConfig":{}}', 400, "config cannot be empty in order to create a container"),
    ("/containers/create", '{"Image":"nosuch"}', 404, "No such image: nosuch:latest"),
    ("/containers/create", '{"Image":"UPPER"}', 400, UPPER),
    (
        "/containers/create?name=..!", '{"Image":"small","Cmd":["x"]}', 400,
        "Invalid container name (..!), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    ),
    (
        "/containers/create", '{"Image":"small","Tty":1}', 400,
        "invalid JSON: json: cannot unmarshal number into Go struct field .Tty of type bool",
    ),
    (
        "/v1.44/containers/create",
        '{"Image":"small","HostConfig":{"Mounts":[{"Type":"volume","VolumeOptions":{"Subpath":"a"}}]}}', 400,
        "VolumeOptions.Subpath needs API v1.45 or newer",
    ),
    (
        "/v1.43/containers/create",
        '{"Image":"small","NetworkingConfig":{"EndpointsConfig":{"none":{},"bridge":{}}}}', 400,
        "Container cannot be created with multiple network endpoints: bridge, none",
    ),
    (
        "/containers/made/start", '{"Binds":[]}', 400,
        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    ),
    ("/containers/made/exec", '{"Cmd":["a"],"DetachKeys":"foo"}', 400, "Invalid escape keys (foo) provided"),
    (
        "/containers/made/exec", '{"Cmd":["true"],"Tty":"x"}', 400,
        "invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Tty of type bool",
    ),
    (
        "/volumes/create", '{"Name":3}', 400,
        "invalid JSON: json: cannot unmarshal number into Go struct field CreateOptions.Name of type string",
    ),
    (
        "/volumes/create", '{"Name":"a b"}', 400,
        'create a b: "a b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are '
        "allowed. If you intended to pass a host directory, use absolute path",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("target", "body", "status", "words"), REFUSED_BODIES, ids=lambda value: str(value)[:50])
def test_a_wrong_body_is_refused(api, target, body, status, words):
    assert api.words("POST", target, body.encode()) == (status, words)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ping_says_who_is_there_and_nothing_of_a_builder(api, method):
    status, body, headers = api.ask(method, "/v1.51/_ping")
    assert (status, body) == (200, b"OK" if method == "GET" else b"")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Length"] == str(len(body))
    assert (headers["Cache-Control"], headers["Pragma"]) == ("no-cache, no-store, must-revalidate", "no-cache")
    assert (headers["Api-Version"], headers["Ostype"], headers["Swarm"]) == ("1.51", "linux", "inactive")
    assert headers["Docker-Experimental"] == "false"
    assert headers["Server"].startswith("Wherry/")
    assert "Builder-Version" not in headers


def test_every_answer_carries_the_common_headers(api):
    for method, target in [("GET", "/info"), ("GET", "/nosuch"), ("POST", "/containers/made/stop"), ("GET", "//x")]:
        assert api.ask(method, target)[2]["Api-Version"] == "1.51", target


def test_older_clients_get_older_defaults(api):
    made = []
    for version, expected in [("1.39", "shareable"), ("1.40", "private")]:
        _, told, _ = api.ask("POST", f"/v{version}/containers/create", b'{"Image":"small","Cmd":["x"]}')
        made.append(json.loads(told)["Id"])
        host = json.loads(api.ask("GET", f"/containers/{made[-1]}/json")[1])["HostConfig"]
        assert host["IpcMode"] == expected
    for container in made:
        assert api.ask("DELETE", f"/containers/{container}")[0] == 204


def test_disk_usage_counts_what_was_asked_for(api):
    usage = json.loads(api.ask("GET", "/system/df?type=image")[1])
    assert [image["RepoTags"] for image in usage["Images"]] == [["small:latest"]]
    assert (usage["Containers"], usage["Volumes"], usage["BuildCache"]) == (None, None, None)
    everything = json.loads(api.ask("GET", "/system/df")[1])
    assert [container["Names"] for container in everything["Containers"]] == [["/made"]]
    assert (everything["Volumes"], everything["BuildCache"]) == ([], [])


def test_odd_requests_never_harm_the_daemon(api):
    for target in ["/containers/%ff/json", "/%", "/containers/json?all=%zz", "/containers/json?;;", "/" + "a" * 60000]:
        assert api.ask("GET", target)[0] in {200, 301, 400, 404}, target
    for body in [b"\xff", b"[" * 100_000, b'{"HostConfig":' * 900, b"1" * 100_000, b'"' + b"\\" * 99]:
        status, data, _ = api.ask("POST", "/containers/create", body)
        assert status == 400
        assert "message" in json.loads(data)
    assert api.ask("GET", "/_ping")[1] == b"OK"
