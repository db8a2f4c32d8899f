"""What a client knows to log in with, as the X-Registry-Auth header carries it (Engine API, "Authentication")."""

import base64
import binascii

import msgspec
from msgspec import Struct

HEADER_BYTES_MAX = 64 * 1024


class Credentials(Struct, frozen=True, kw_only=True, rename={"identity_token": "identitytoken"}):
    """A user's secrets for one registry; all empty for an anonymous user."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = msgspec.field(default="", name="registrytoken")
    server_address: str = msgspec.field(default="", name="serveraddress")

    @property
    def basic(self) -> str:
        """The value of a Basic Authorization header, empty without a user name."""
        if not self.username:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        """Never the secrets."""
        return f"Credentials({self.username!r} at {self.server_address!r})"


ANONYMOUS = Credentials()


def decode_header(header: str) -> Credentials:
    """The base64url JSON of X-Registry-Auth. What cannot be read is anonymous, as dockerd has it for pull and push."""
    if len(header) > HEADER_BYTES_MAX:
        return ANONYMOUS
    try:
        text = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        return msgspec.json.decode(text, type=Credentials | None) or ANONYMOUS
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return ANONYMOUS
