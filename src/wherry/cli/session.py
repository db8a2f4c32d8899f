"""One run of the program: what was chosen before the verb, the user's settings, and the way to the daemon."""

from __future__ import annotations

import os

from wherry.cli import settings
from wherry.cli.errors import CommandError
from wherry.cli.output import complain
from wherry.client import address as addresses
from wherry.client.client import Client
from wherry.client.errors import Forbidden, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.client.address import Address, Tls


class Session:
    """Made once by `main`, handed to the verb."""

    def __init__(self, options: Given) -> None:
        self._options = options
        self._client: Client | None = None
        self._settings: dict[str, Any] | None = None

    @property
    def config_directory(self) -> str:
        """Where config.json and certificates are looked for."""
        return settings.directory(self._options["config"])

    @property
    def settings(self) -> dict[str, Any]:
        """The user's config.json."""
        if self._settings is None:
            self._settings = settings.load(self.config_directory)
        return self._settings

    @property
    def client(self) -> Client:
        """The connection to the daemon. Our own daemon is started when nothing listens at its usual place."""
        if self._client is None:
            # Kept once it is connected: a connection that is there tells the others its version.
            client = self.new_client()
            try:
                client.connect()
            except Unreachable as error:
                if not error.absent or client.address.text != addresses.DEFAULT:
                    raise
                _start_daemon(client)
                client.connect()
            except Forbidden as error:
                raise CommandError(f"{error}: run this as root, or as a member of the group that owns it") from error
            self._client = client
        return self._client

    def new_client(self) -> Client:
        """A further connection, for a second stream beside the first. It starts no daemon."""
        tls = self._tls()
        headers = {str(name): str(value) for name, value in self.settings.get("HttpHeaders", {}).items()}
        version = os.environ.get("DOCKER_API_VERSION", "").removeprefix("v") or None
        if version is None and self._client is not None:
            version = self._client.version
        client = Client(self._address(tls), tls=tls, version=version, headers=headers)
        if self._options["debug"] or self._options["log-level"] == "debug":
            client.trace = lambda words: complain(f"DEBU {words}")
        return client

    def _address(self, tls: Tls | None) -> Address:
        hosts = self._options["host"]
        if len(hosts) > 1:
            raise CommandError("specify only one -H")
        return addresses.parse(hosts[0] if hosts else addresses.from_environment(os.environ), tls=tls is not None)

    def _tls(self) -> Tls | None:
        options = self._options
        named = [name for name in ("tlscacert", "tlscert", "tlskey") if name in options.changed]
        verify = options["tlsverify"] or ("tlsverify" not in options.changed and _set("DOCKER_TLS_VERIFY"))
        if not (options["tls"] or verify or _set("DOCKER_TLS")):
            return None
        tls = addresses.tls_in(os.environ.get("DOCKER_CERT_PATH") or self.config_directory, verify=verify)
        for name in named:
            setattr(tls, {"tlscacert": "ca", "tlscert": "certificate", "tlskey": "key"}[name], options[name])
        return tls


def _start_daemon(client: Client) -> None:
    if os.geteuid() != 0:
        raise CommandError(f"No daemon answers at {addresses.DEFAULT}, and only root can start one: sudo wherryd")
    from wherry.cli.daemon import start

    start(client)


def _set(name: str) -> bool:
    return bool(os.environ.get(name))
