"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the daemon's environment, for one address."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_LOOPBACK = {"localhost", "::1"}


def proxy_for(url: str) -> str | None:
    """The proxy to go through, or None. As Go's net/http, never for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in _LOOPBACK or host.startswith("127."):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return found if "://" in found else f"http://{found}"
