"""Requests of the Engine API, made from its schema and spoiled: refused in words, never with a traceback.

`operations.json` has the operations of the schema as facts: names, types, statuses. A body or a query is drawn from
them; here and there a value is of another type, too large, said twice, nested without end, or no JSON at all.
"""

import json
import re
from itertools import count
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.api.routes import refused

SECONDS_OF_A_REQUEST = 20.0
SECONDS_OF_A_WAIT = 0.3
FURNISH_EVERY = 50
OFTEN = 10
EXAMPLES = 500
SOAK_EXAMPLES = 30_000

# Values of no type's: as they stand in JSON's text.
ODD = (
    "null", "true", "false", "0", "-1", "1", "1.0", "0.5", "1e3", "1e999", "-0", "NaN", "Infinity", "-Infinity",
    "2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "9" * 5000, "0x10", "01", ".5", "5.", "+1", "'a'", '""', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x"',
    '"\n"', '"a', "[]", "{}", "[[]]", "[null]", "[{}]", '{"":null}', '{"a":{"b":[]}}', "[" * 900 + "]" * 900,
    "[" * 20_000, '{"a":' * 3000 + "1" + "}" * 3000, '"' + "a" * 9000 + '"', "", "undefined", "/* */1", "nul",
)  # fmt: skip

WORDS = (
    "", " ", "a", "-", "x=y", "=x", "a=b=c", "a:b", ":", "a b", "0", "1", "-1", "1g", "é", "\u017f", "\u2028", "\0",
    "\ud800", "\U0001f980", "%00", "%s", "{}", "{0}", "../..", "..", "/", "//", "nosuch", "UPPER", "a" * 300, "\n",
    "busybox", "busybox:latest", "busybox@sha256:" + "0" * 64, "running", "container:running", "container:", "host",
    "none", "bridge", "default", "private", "80/tcp", "80-90/udp", "80:80", "99999/tcp", "1.2.3.4", "::1", "fe80::1%a",
    "1.2.3.4/24", "SIGKILL", "9", "99", "root", "0:0", "no", "always", "on-failure", "label=disable", "apparmor=x",
    "seccomp=unconfined", "seccomp={", "no-new-privileges", "NET_ADMIN", "ALL", "CAP_", "0-1", "0,9999", "rw", "ro,z",
    "size=1m", "size=zz", "mode=9", "net.ipv4.ip_forward", "kernel.shm_rmid_forced", "linux/amd64", "a/b/c/d",
    "/proc/nosuch/x:/y", "/dev/null:/y:bad", "/dev/null", "/nosuch/..", "/proc/1/root/..", "\\", '"', "'", "<>",
    "ctrl-p,ctrl-q", "ctrl-", "c 1:3 rwm", "a *:* rwm", "json-file", "max-size", "10k", "nvidia", "gpu", "tmpfs",
)  # fmt: skip

# Names that are likely where a field of that name is asked for.
LIKELY = {
    "Image": ("busybox", "busybox", "busybox", "nosuch", "busybox@sha256:" + "0" * 64),
    "Cmd": ("true", "sleep", "nosuch", "/bin/sh"),
    "NetworkMode": ("none", "host", "bridge", "container:running", "nosuch"),
    "condition": ("not-running", "next-exit", "removed", "bad"),
    "t": ("0", "1", "abc", "1.5", "99999999999999999999", ""),
    "signal": ("KILL", "bad", "0", "99", "SIGKILL", "9"),
    "StopSignal": ("KILL", "bad", "TERM", "RTMIN+3"),
    "fromImage": ("127.0.0.1:1/x", "UPPER", "127.0.0.1:1/x:y", "127.0.0.1:1/x@sha256:1", "a b"),
    "fromSrc": ("-", "http://127.0.0.1:1/", "bad"),
    "repo": ("x", "UPPER", "127.0.0.1:1/y", "sha256", "a" * 300, "x@sha256:" + "0" * 64),
    "serveraddress": ("127.0.0.1:1", "http://127.0.0.1:1/v1", "http://[", "127.0.0.1:99999"),
    "h": ("24", "0", "-1", "4294967296", "a"),
    "w": ("80", "0", "-1", "4294967296", "a"),
    "tail": ("all", "0", "10", "-1", "a"),
    "ps_args": ("-ef", "-o pid", "--nosuch", "-o 'pid", "a;b"),
    "filters": ("{}", '{"status":["running"]}', '{"label":{"a":true}}', "[]", "{", '{"name":["("]}', '{"until":["x"]}'),
    "platform": ("linux/amd64", "linux/arm64", '{"os":"linux"}', "[]", "{", "a/b/c/d", '{"os":5}', '{"os":{}}'),
}

NAMES = (
    *("running", "terminal", "exited", "created", "busybox", "none", "bridge", "host", "{exec}", "{id}", "{id12}") * 5,
    *(
        "nosuch",
        "",
        ".",
        "..",
        "%00",
        "%2e%2e",
        "%2f",
        "a/b",
        "a%20b",
        "%ff",
        "%",
        "%zz",
        "a" * 300,
        "0" * 63,
        "0" * 64,
    ),
    *(
        "f" * 65,
        "json",
        "sha256:" + "0" * 64,
        "sha256:",
        "busybox@sha256:x",
        "UPPER",
        "é",
        "{",
        "[",
        "running/",
        "*",
        "a?b",
    ),
)

# A schema's status set says what may be; these may be everywhere: Wherry refuses what it does not serve by name, and
# says 400 to a client's mistake where dockerd says 500.
ALWAYS = {301, 400, 404, 409, 413, 501}
# What is told without JSON: a target that cannot be read, a version that is too old.
PLAIN = re.compile(r"^400 Bad Request$|Minimum supported API version is 1\.24")
STREAMS = ("/attach", "/attach/ws", "/logs", "/events", "/stats", "/wait", "/exec/{name}/start")
# Never made up: they reach out of the house, or wait for good.
NEVER = ("/push",)


# dockerd's own, beside the schema's: nothing to be done is no creation.
ALSO = {"/images/{name}/tag": {200}, "/volumes/create": {503}, "/auth": {401}}


def _texts(name=""):
    likely = st.sampled_from(LIKELY.get(name, WORDS))
    return st.one_of(likely, likely, st.sampled_from(WORDS), st.text(max_size=20).map(lambda text: text.lstrip("/")))


def _encoded(text):
    return json.dumps(text)


def _right(shape, name):
    """JSON text of a value that fits."""
    if isinstance(shape, list):
        return st.lists(_value(shape[0], name), max_size=3).map(lambda items: f"[{','.join(items)}]")
    if isinstance(shape, dict):
        return _object(shape)
    kind, _, words = shape.partition("|")
    match kind:
        case "string" if words:
            return st.sampled_from(words.split("|")).map(_encoded)
        case "string":
            return _texts(name).map(_encoded)
        case "integer":
            return st.one_of(st.integers(-2, 100), st.integers(-(2**65), 2**65)).map(str)
        case "boolean":
            return st.sampled_from(("true", "false"))
        case _:
            return st.sampled_from(ODD)


def _value(shape, name=""):
    # Seldom wrong in its small parts, so that the whole still has a chance to be right.
    return st.integers(0, 11).flatmap(lambda die: st.sampled_from(ODD) if die == 0 else _right(shape, name))


@st.composite
def _object(draw, shape, most=5, certain=()):
    if "*" in shape:
        pairs = draw(st.lists(st.tuples(_texts(), st.deferred(lambda: _value(shape["*"]))), max_size=2))
    else:
        names = [*certain, *draw(st.lists(st.sampled_from(sorted(shape) or ["x"]), max_size=most))]
        pairs = [(draw(_spelled(name)), draw(_value(shape.get(name, "any"), name))) for name in names]
    return "{" + ",".join(f"{_encoded(key)}:{value}" for key, value in pairs) + "}"


def _spelled(name):
    return st.sampled_from((name,) * 8 + (name.lower(), name.upper(), name.replace("s", "\u017f"), f"{name}x", ""))


@st.composite
def _bodies(draw, shape):
    if not isinstance(shape, dict):
        return draw(st.one_of(st.none(), st.binary(max_size=2000), st.just(b"\0" * 10240)))
    text = draw(st.one_of(_object(shape, certain=("Image",) if "Image" in shape else ()), st.sampled_from(ODD)))
    data = text.encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 39)):
        case 0:
            return data[: draw(st.integers(0, len(data)))]
        case 1:
            return data + draw(st.sampled_from((b"x", b"{}", b"\0", b" \n", b"\xef\xbb\xbf")))
        case 2:
            return draw(st.sampled_from((b"\xef\xbb\xbf", b" \n", b"\xff\xfe", b"\0"))) + data
        case 3:
            return data.replace(b"a", b"\xff")
        case 4:
            return None
        case _:
            return data


@st.composite
def _queries(draw, parameters):
    fields = []
    for name in draw(st.lists(st.sampled_from([*sorted(parameters), "nosuch", ""]), max_size=4)):
        value = draw(_texts(name))
        if parameters.get(name) == "boolean":
            value = draw(st.sampled_from(("1", "0", "true", "false", "", "x", "\ud800")))
        fields.append(f"{quote(draw(_spelled(name)))}={quote(value, errors='surrogatepass')}")
    return draw(st.sampled_from(("&",) * 9 + (";", "&&"))).join(fields)


VERSIONS = (*("",) * 20, *("/v1.24", "/v1.30", "/v1.41", "/v1.44", "/v1.51") * 2, "/v1.52", "/v1.", "/v9", "/v1.23")

HEADS = (
    *(b"",) * 50,
    b"Content-Type: text/plain\r\n",
    b"Content-Type: \r\n",
    b"Content-Type: application/json; charset=\r\n",
    b"X-Registry-Auth: !!\r\n",
    b"X-Registry-Auth: bnVsbA==\r\n",
    b"X-Registry-Auth: eyJ1c2VybmFtZSI6NX0=\r\n",
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n",
)


@st.composite
def _requests(draw, operations):
    operation = draw(st.sampled_from(operations))
    name = draw(st.sampled_from(NAMES))
    version = draw(st.sampled_from(VERSIONS))
    query = draw(_queries(operation.get("query", {})))
    body = draw(_bodies(operation["body"])) if "body" in operation else draw(st.sampled_from((None,) * 9 + (b"{}",)))
    return operation, version, name, query, body, draw(st.sampled_from(HEADS))


class Asking:
    """Sends what was drawn, and judges what comes back."""

    def __init__(self, fuzzed, python_words):
        self.fuzzed = fuzzed
        self.python_words = python_words
        self.known = {"exec": "nosuch", "id": "nosuch", "id12": "nosuch"}
        self.number = count()

    def ask(self, operation, version, name, query, body, head):
        if next(self.number) % FURNISH_EVERY == 0:
            self.fuzzed.furnish()
        for key, value in self.known.items():
            name = name.replace("{" + key + "}", value)
        path = operation["path"].replace("{name}", quote(name, safe="%/:@*?[{"))
        target = f"{version}{path}{'?' if query else ''}{query}"
        method, stream = operation["method"], operation["path"].endswith(STREAMS)
        seconds = SECONDS_OF_A_WAIT if path.endswith("/wait") else SECONDS_OF_A_REQUEST
        try:
            answer = self.fuzzed.ask(method, target, body, head=head, stream=stream, seconds=seconds)
        except self.fuzzed.no_answer:
            assert path.endswith("/wait"), target  # old versions wait without a head
            return
        self.judge(operation, target, answer)
        self.learn(operation, answer)

    def judge(self, operation, target, answer):
        assert answer.status in ALWAYS.union(operation["statuses"], ALSO.get(operation["path"], ())), (target, answer)
        if answer.status < 400 or operation["method"] == "HEAD":
            return
        text = answer.body.decode("utf-8", "replace")
        assert not self.python_words.search(text), (target, answer)
        if answer.headers["content-type"].startswith("text/plain"):
            assert PLAIN.search(text), (target, answer)
        else:
            assert isinstance(answer.message, str), (target, answer)
            assert answer.message, (target, answer)

    def learn(self, operation, answer):
        if answer.status != 201 or not answer.body:
            return
        made = json.loads(answer.body).get("Id", "")
        if operation["path"].endswith("/exec"):
            self.known["exec"] = made
        elif operation["path"] == "/containers/create":
            self.known.update(id=made, id12=made[:12])


def _fuzz(fuzzed, operations, python_words, examples):
    asking = Asking(fuzzed, python_words)
    drawn = [one for one in operations if not one["path"].endswith(NEVER)]
    served = [one for one in drawn if refused.routes.find(one["method"], one["path"]) is None]

    created = [one for one in served if one["path"] == "/containers/create"]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples == EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )
    @given(_requests((served + created * OFTEN) * OFTEN + drawn))
    def ask(drawn_request):
        asking.ask(*drawn_request)

    ask()


@pytest.mark.timeout(300)
def test_no_request_is_answered_with_pythons_words(fuzzed, operations, python_words):
    _fuzz(fuzzed, operations, python_words, EXAMPLES)
    fuzzed.says_nothing_of_python()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_thirty_thousand_requests_leave_the_daemon_as_it_was(fuzzed, operations, python_words):
    _fuzz(fuzzed, operations, python_words, EXAMPLES)
    fuzzed.remove_everything()
    before, memory = fuzzed.size(), fuzzed.memory_kb()
    _fuzz(fuzzed, operations, python_words, SOAK_EXAMPLES)
    fuzzed.remove_everything()
    assert fuzzed.settled_size(before) == before
    assert fuzzed.memory_kb() < memory + 20_000
