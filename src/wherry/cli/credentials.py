"""Who we are to registries: config.json's `auths`, and programs that keep secrets for it."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.jsontext import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_FOUND = "credentials not found in native keychain"
TOKEN_USER = "<token>"  # noqa: S105 - the name under which helpers keep identity tokens


def registry_auth(settings: dict[str, Any], key: str) -> str:
    """The X-Registry-Auth header for the registry `key`: JSON in URL-safe base64."""
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(encode(lookup(settings, key)).encode()).decode()


def lookup(settings: dict[str, Any], key: str) -> dict[str, str]:
    """Credentials for the registry `key` as the API has them; only `serveraddress` when none are known."""
    helper = (settings.get("credHelpers") or {}).get(key) or settings.get("credsStore")
    if helper:
        return _from_helper(helper, key)
    for known, entry in (settings.get("auths") or {}).items():
        if known == key or _host(known) == _host(key):
            return _from_entry(entry, known)
    return {"serveraddress": key}


def remember(settings: dict[str, Any], key: str, found: dict[str, str]) -> bool:
    """Put credentials into `settings`, or into their helper; True when a helper took them."""
    helper = (settings.get("credHelpers") or {}).get(key) or settings.get("credsStore")
    token = found.get("identitytoken", "")
    if helper:
        username, secret = (TOKEN_USER, token) if token else (found["username"], found["password"])
        _run(helper, "store", encode({"ServerURL": key, "Username": username, "Secret": secret}))
        settings.setdefault("auths", {})[key] = {}
        return True
    from base64 import b64encode

    pair = f"{found.get('username', '')}:{'' if token else found.get('password', '')}"
    entry = {"auth": b64encode(pair.encode()).decode()}
    if token:
        entry["identitytoken"] = token
    settings.setdefault("auths", {})[key] = entry
    return False


def forget(settings: dict[str, Any], key: str) -> bool:
    """Remove a registry's credentials; False when none were kept."""
    auths = settings.get("auths") or {}
    known = [name for name in auths if name == key or _host(name) == _host(key)]
    helper = (settings.get("credHelpers") or {}).get(key) or settings.get("credsStore")
    for name in known:
        if helper:
            _run(helper, "erase", name)
        del auths[name]
    return bool(known)


def _from_entry(entry: dict[str, Any], key: str) -> dict[str, str]:
    from base64 import b64decode

    found = {"serveraddress": key}
    if entry.get("auth"):
        try:
            pair = b64decode(entry["auth"]).decode()
        except ValueError as error:
            raise CommandError(f"config.json: credentials of {key}: {error}") from error
        found["username"], _, password = pair.partition(":")
        found["password"] = password.strip("\0")
    for name in ("username", "password", "identitytoken", "registrytoken"):
        if entry.get(name):
            found[name] = entry[name]
    return found


def _from_helper(helper: str, key: str) -> dict[str, str]:
    answer = _run(helper, "get", key)
    if answer is None:
        return {"serveraddress": key}
    username, secret = answer.get("Username", ""), answer.get("Secret", "")
    if username == TOKEN_USER:
        return {"serveraddress": key, "identitytoken": secret}
    return {"serveraddress": key, "username": username, "password": secret}


def _run(helper: str, verb: str, text: str) -> dict[str, Any] | None:
    """What `docker-credential-HELPER VERB` answers; None when it knows nothing. Raises CommandError."""
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, verb], input=text.encode(), capture_output=True, check=False)
    except FileNotFoundError:
        raise CommandError(
            f'error getting credentials - err: exec: "{program}": executable file not found in $PATH, out: ``'
        ) from None
    out = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode:
        if NOT_FOUND in out or "credentials not found" in out:
            return None
        raise CommandError(f"error getting credentials - err: exit status {done.returncode}, out: `{out}`")
    answer = decode(out) if out and verb == "get" else {}
    return answer if isinstance(answer, dict) else {}


def _host(key: str) -> str:
    """`https://host/v1/` as `host`, which is how older programs wrote the key."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]
