"""`login` and `logout`: credentials for registries."""

from __future__ import annotations

import sys

from wherry.cli import credentials, settings, terminal
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.output import complain, emit, flush, line
from wherry.cli.reference import INDEX, auth_key
from wherry.client import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session

PASSWORD_BYTES_MAX = 1 << 20


def _login(session: Session, given: Given, names: list[str]) -> int:
    key = _key(names)
    username, password = given["username"], given["password"]
    if password and not given["password-stdin"]:
        complain("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    if given["password-stdin"]:
        if password:
            raise CommandError("--password and --password-stdin are mutually exclusive")
        if not username:
            raise CommandError("Must provide --username with --password-stdin")
        password = sys.stdin.buffer.read(PASSWORD_BYTES_MAX).decode("utf-8", "surrogateescape").rstrip("\r\n")
    username, password = _asked(session, key, username, password)
    found = {"username": username, "password": password, "serveraddress": key}
    answer = session.client.json(system.check_auth(found)) or {}
    if answer.get("IdentityToken"):
        found["identitytoken"] = answer["IdentityToken"]
    values = session.settings
    if not credentials.remember(values, key, found):
        where = f"{session.config_directory}/config.json"
        complain(f"\nWARNING! Your credentials are stored unencrypted in '{where}'.\n")
    settings.store(session.config_directory, values)
    if answer.get("Status"):
        line(answer["Status"])
    return 0


def _key(names: list[str]) -> str:
    if not names:
        return INDEX
    host = names[0].removeprefix("https://").removeprefix("http://")
    return names[0] if names[0] == INDEX else auth_key(host.rstrip("/"))


def _asked(session: Session, key: str, username: str, password: str) -> tuple[str, str]:
    """What was not said, asked on the terminal; the username known so far is the usual answer."""
    if username and password:
        return username, password
    if not terminal.is_terminal(0):
        raise CommandError("Error: Cannot perform an interactive login from a non TTY device")
    if not username:
        known = credentials.lookup(session.settings, key).get("username", "")
        emit(f"Username ({known}): " if known else "Username: ")
        flush()
        username = sys.stdin.readline().strip() or known
        if not username:
            raise CommandError("Error: Non-null Username Required")
    if not password:
        import getpass

        password = getpass.getpass("Password: ")
        if not password:
            raise CommandError("Error: Password Required")
    return username, password


def _logout(session: Session, _: Given, names: list[str]) -> int:
    key = _key(names)
    line(f"Removing login credentials for {key}")
    values = session.settings
    if credentials.forget(values, key):
        settings.store(session.config_directory, values)
    return 0


LOGIN = Verb(
    "[OPTIONS] [SERVER]",
    _login,
    Flag("password", "p", STRING, "Password or access token; seen by everyone on this computer, see --password-stdin"),
    Flag("password-stdin", "", BOOL, "Read the password or access token from standard input"),
    Flag("username", "u", STRING, "Username"),
    arguments=(0, 1),
    details="Without a server, Docker Hub is meant.",
)
LOGOUT = Verb("[SERVER]", _logout, arguments=(0, 1), details="Without a server, Docker Hub is meant.")
