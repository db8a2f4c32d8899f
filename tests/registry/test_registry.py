"""Challenges, credentials, hosts, certificates, and the words for failures."""

import asyncio
import base64
import json
import ssl
import subprocess

import aiohttp
import pytest

from wherry.model.errors import InvalidParameter
from wherry.oci.reference import parse_reference
from wherry.registry.challenge import Challenge, parse_challenges
from wherry.registry.client import Registries
from wherry.registry.clock import RealClock
from wherry.registry.credentials import ANONYMOUS, Credentials, decode_header
from wherry.registry.errors import Refused, RegistryError, UnexpectedAnswer, Unreachable, network_failure, refusal
from wherry.registry.hosts import RegistryOptions, check_mirror, endpoints, is_insecure
from wherry.registry.proxies import proxy_for
from wherry.registry.tokens import Tokens


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="r"', [Challenge("basic", {"realm": "r"})]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push",error="invalid_token"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://a/t",
                        "service": "s",
                        "scope": "repository:x:pull,push",
                        "error": "invalid_token",
                    },
                )
            ],
        ),
        (
            'Basic realm="a", Bearer realm="b"',
            [Challenge("basic", {"realm": "a"}), Challenge("bearer", {"realm": "b"})],
        ),
        ("Negotiate", [Challenge("negotiate", {})]),
        ('Basic realm="a \\"b\\""', [Challenge("basic", {"realm": 'a "b"'})]),
        ("Bearer realm=plain", [Challenge("bearer", {"realm": "plain"})]),
        ("", []),
        ("=,=,", []),
        ("Bearer " + "a" * 100_000, None),
    ],
)
def test_challenges_are_read(header, expected):
    found = list(parse_challenges([header]))
    if expected is not None:
        assert found == expected


def test_credentials_come_out_of_the_header_and_never_into_a_log():
    given = {"username": "u", "password": "p", "serveraddress": "s", "identitytoken": "i"}
    header = base64.urlsafe_b64encode(json.dumps(given).encode()).decode()
    credentials = decode_header(header.rstrip("="))
    assert (credentials.username, credentials.password, credentials.identity_token) == ("u", "p", "i")
    assert "'p'" not in repr(credentials)
    assert decode_header("") == decode_header("e30=") == decode_header("bnVsbA==") == ANONYMOUS
    for bad in ("!", "YQ==", "x" * 100_000, "WzFd"):
        assert decode_header(bad) == ANONYMOUS


async def test_endpoints_are_dockerds():
    options = RegistryOptions(insecure=("my.host:5000", "10.0.0.0/8"), mirrors=("https://m/", "http://n/p"))

    async def bases(domain, *, mirrored=True):
        return [place.base for place in await endpoints(domain, options, mirrored=mirrored)]

    assert await bases("docker.io") == ["https://m", "http://n/p", "https://registry-1.docker.io"]
    assert await bases("docker.io", mirrored=False) == ["https://registry-1.docker.io"]
    assert await bases("127.0.0.1:5000") == ["https://127.0.0.1:5000", "http://127.0.0.1:5000"]
    assert await bases("localhost:5000") == ["https://localhost:5000", "http://localhost:5000"]
    assert await bases("[::1]:5000") == ["https://[::1]:5000", "http://[::1]:5000"]
    assert await bases("my.host:5000") == ["https://my.host:5000", "http://my.host:5000"]
    assert await bases("10.1.2.3") == ["https://10.1.2.3", "http://10.1.2.3"]
    assert await bases("192.0.2.1:443") == ["https://192.0.2.1:443"]
    assert not await is_insecure("192.0.2.1", options)


def test_mirrors_are_checked():
    assert check_mirror("https://m/") == "https://m"
    for bad in ("m", "ftp://m", "https://u:p@m", "https://m?x", "https://m#x"):
        with pytest.raises(InvalidParameter, match="invalid mirror"):
            check_mirror(bad)


def test_refusals_are_told_with_the_registrys_words_or_dockers():
    assert str(refusal(401, "", b"")) == "unauthorized: authentication required"
    assert str(refusal(404, "Not Found", b"<html>")) == "received unexpected HTTP status: 404 Not Found"
    body = json.dumps({"errors": [{"code": "DENIED", "message": "no"}, {"code": "X"}]}).encode()
    assert str(refusal(403, "", body)) == "denied: no"
    assert str(refusal(401, "", b'{"details": "bad token"}')) == "unauthorized: bad token"
    scoped = refusal(401, "", body, challenge_error="insufficient_scope")
    assert str(scoped) == "denied: requested access to the resource is denied"
    assert isinstance(scoped, Refused)
    assert [refusal(status, "", b"").is_final for status in (401, 403, 404, 429, 500, 503)] == [
        *(True, True, True),
        *(False, False, False),
    ]
    assert isinstance(refusal(500, "x", b"[" * 100_000), UnexpectedAnswer)


def test_a_host_without_an_address_is_told_as_go_tells_it():
    key = aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)
    error = aiohttp.ClientConnectorDNSError(key, OSError(-2, "Name or service not known"))
    assert network_failure(error) == "dial tcp: lookup h: no such host"


def test_proxies_are_the_environments_but_not_for_this_machine(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxy_for("https://x/") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example,.corp")
    assert proxy_for("https://x/v2/") == "http://proxy:3128"
    assert proxy_for("http://x/") is None
    assert proxy_for("https://a.corp/") is None
    assert proxy_for("https://127.0.0.1:5000/") is None
    assert proxy_for("https://localhost/") is None


@pytest.fixture
def certificates(tmp_path):
    """An authority, a server's certificate for 127.0.0.1 and a client's."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj")
    openssl(*new, "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt")
    for name, extra in (("server", ("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")), ("client", ())):
        openssl(
            *new,
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.cert",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            *extra,
        )
    return tmp_path


@pytest.fixture
async def tls_server(certificates):
    """Answers `{}` to whoever shows the client's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.crt")
    context.load_cert_chain(certificates / "server.cert", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    app = aiohttp.web.Server(lambda _request: _answer())
    runner = aiohttp.web.ServerRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    yield site._server.sockets[0].getsockname()[1]
    await runner.cleanup()


async def _answer():
    return aiohttp.web.json_response({"name": "x", "tags": ["1"]})


async def test_certificates_of_a_host_are_used(certificates, tls_server, tmp_path):
    host = f"127.0.0.1:{tls_server}"
    place = tmp_path / "certs.d" / host
    place.mkdir(parents=True)
    for name in ("ca.crt", "client.cert", "client.key"):
        (place / name).write_bytes((certificates / name).read_bytes())
    async with Registries(RegistryOptions(certs_dir=tmp_path / "certs.d")) as registries:
        [secured, _plain] = await registries.repositories(parse_reference(f"{host}/x"))
        assert await secured.tags() == ["1"]
    (place / "client.key").unlink()
    async with Registries(RegistryOptions(certs_dir=tmp_path / "certs.d")) as registries:
        with pytest.raises(InvalidParameter, match=r"missing key client.key for client certificate client.cert"):
            await registries.repositories(parse_reference(f"{host}/x"))


async def test_an_unknown_authority_is_refused_where_the_host_is_not_insecure(certificates, tls_server, monkeypatch):
    monkeypatch.setattr("wherry.registry.hosts.LOOPBACK", ())
    async with Registries(RegistryOptions(certs_dir=certificates / "none")) as registries:
        [secured] = await registries.repositories(parse_reference(f"localhost:{tls_server}/x"))
        with pytest.raises(Unreachable, match="x509: certificate signed by unknown authority"):
            await secured.transport.ping()


@pytest.fixture
async def token_server():
    """Records requests, and gives numbered tokens."""
    seen = []

    async def give(request):
        seen.append((request.method, dict(request.query), dict(await request.post()), dict(request.headers)))
        return aiohttp.web.json_response({"access_token": f"t{len(seen)}", "expires_in": "100"})

    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(give), shutdown_timeout=1)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/token", seen
    await runner.cleanup()


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


async def test_tokens_are_kept_until_they_expire_and_apart_for_each_user(token_server):
    realm, seen = token_server
    clock = Clock()
    challenge = Challenge("bearer", {"realm": realm, "service": "s"})
    async with aiohttp.ClientSession() as session:
        tokens = Tokens(session, clock)

        async def ask(credentials=ANONYMOUS, scope="repository:x:pull"):
            return await tokens.bearer(challenge, (scope,), credentials, plain=True)

        assert [await ask(), await ask()] == ["t1", "t1"]
        assert await ask(scope="repository:y:pull") == "t2"
        assert await ask(Credentials(username="u", password="p")) == "t3"
        clock.now = 91
        assert await ask() == "t4"
        tokens.forget("t4")
        assert await ask() == "t5"
        assert await ask(Credentials(identity_token="refresh")) == "t6"
        assert await ask(Credentials(registry_token="given")) == "given"
    assert seen[0][1] == {"service": "s", "scope": "repository:x:pull"}
    assert seen[2][1]["account"] == "u"
    assert "Authorization" not in seen[0][3]
    assert seen[5][0] == "POST"
    assert seen[5][2]["refresh_token"] == "refresh"


async def test_a_password_is_not_sent_in_clear_text_for_a_registry_behind_tls(token_server):
    realm, seen = token_server
    async with aiohttp.ClientSession() as session:
        tokens = Tokens(session, Clock())
        login = Credentials(username="u", password="p")
        for bad, why in (
            (realm, "unencrypted"),
            ("file:///etc/passwd", "invalid token auth"),
            ("", "invalid token auth"),
        ):
            with pytest.raises(RegistryError, match=why):
                await tokens.bearer(Challenge("bearer", {"realm": bad}), (), login, plain=False)
    assert seen == []


async def test_the_real_clock_passes():
    clock = RealClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    await asyncio.sleep(0)


@pytest.mark.parametrize("host", ["\x80", "\U000f2794"])
async def test_a_name_that_no_host_can_have_is_not_reached(host):
    async with Registries() as registries:
        with pytest.raises(Unreachable):
            await registries.check_login(host, ANONYMOUS)
