"""What a registry's refusals and the network's failures are called, in dockerd's words.

Every error says with `is_final` whether another attempt may help; texts are those of Go's net/http and of
docker/distribution, because people and programs match on them.
"""

import re
import ssl

import aiohttp

from wherry.model.errors import EngineError
from wherry.oci.distribution import DistributionError, parse_details, parse_errors

_CALL_FAILED = re.compile(r"Connect call failed \('([^']+)', (\d+)")

# docker/distribution errcode: what the code means when the registry gives no message of its own.
DEFAULT_MESSAGES = {
    "UNAUTHORIZED": "authentication required",
    "DENIED": "requested access to the resource is denied",
    "MANIFEST_UNKNOWN": "manifest unknown",
    "NAME_UNKNOWN": "repository name not known to registry",
    "TOOMANYREQUESTS": "too many requests",
    "BLOB_UNKNOWN": "blob unknown to registry",
}
_FINAL_CODES = {"UNAUTHORIZED", "DENIED", "UNSUPPORTED", "MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"}
_STATUS_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS"}


class RegistryError(EngineError):
    """A registry could not be spoken with, or said no."""

    is_final: bool = False


class Unreachable(RegistryError):
    """No HTTP was spoken: refused, timed out, or a TLS failure."""


class Interrupted(RegistryError):
    """A body ended too early, or took too long."""


class UnexpectedAnswer(RegistryError):
    """An HTTP status that the protocol does not foresee."""

    def __init__(self, message: str, http_status: int) -> None:
        """`http_status` as received; a 4xx will not get better."""
        super().__init__(message)
        self.http_status = http_status
        self.is_final = 400 <= http_status < 500 and http_status not in {408, 429}


class Refused(RegistryError):
    """The registry answered with an error document; `code` is distribution-spec's."""

    def __init__(self, error: DistributionError, http_status: int) -> None:
        """`error` is the first of the document's."""
        super().__init__(str(error))
        self.code = error.code
        self.http_status = http_status
        self.is_final = error.code in _FINAL_CODES or http_status in {401, 403, 404}


class NoCredentials(RegistryError):
    """The registry wants a login and none was given."""

    is_final = True


class LoginFailed(RegistryError):
    """A request could not be authorised: no credentials, or a token server's refusal."""

    def __init__(self, message: str, *, is_final: bool) -> None:
        """As final as the error behind it."""
        super().__init__(message)
        self.is_final = is_final


class Corrupt(RegistryError):
    """Content that is not what its digest or size says; a further attempt would only hide it."""

    is_final = True


def refusal(status: int, reason: str, body: bytes, *, challenge_error: str = "") -> RegistryError:
    """What an answer of 400 or above says. `challenge_error` is the bearer challenge's `error` parameter."""
    if challenge_error == "insufficient_scope":
        return Refused(_with_default_message("DENIED"), status)
    errors = parse_errors(body)
    if errors:
        first = errors[0]
        return Refused(first if first.message else _with_default_message(first.code), status)
    details = parse_details(body)
    if status in _STATUS_CODES:
        code = _STATUS_CODES[status]
        return Refused(DistributionError(code=code, message=details or DEFAULT_MESSAGES[code]), status)
    return UnexpectedAnswer(f"received unexpected HTTP status: {status} {reason}".rstrip(), status)


def network_failure(error: Exception) -> str:
    """What Go's net/http says for the same failure, without the `Get "URL": ` before it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_failure(error.certificate_error)
        case aiohttp.ClientConnectorDNSError():
            return f"dial tcp: lookup {error.host}: no such host"
        case aiohttp.ClientConnectorSSLError():
            return _tls_failure(error)
        case aiohttp.ClientProxyConnectionError():
            return f"proxyconnect tcp: {_dial_failure(error)}"
        case aiohttp.ClientConnectorError():
            return _dial_failure(error)
        case TimeoutError():
            return "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
        case aiohttp.ServerDisconnectedError():
            return "EOF"
        case aiohttp.ClientPayloadError():
            return "unexpected EOF"
        case _:
            return str(error) or type(error).__name__


def _with_default_message(code: str) -> DistributionError:
    return DistributionError(code=code, message=DEFAULT_MESSAGES.get(code))


def _dial_failure(error: aiohttp.ClientConnectorError) -> str:
    found = _CALL_FAILED.search(str(error.os_error))
    host, port = (found[1], found[2]) if found else (error.host, error.port)
    address = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    match error.os_error:
        case ConnectionRefusedError():
            why = "connect: connection refused"
        case TimeoutError():
            why = "i/o timeout"
        case _:
            why = f"connect: {(error.os_error.strerror or str(error.os_error)).lower()}"
    return f"dial tcp {address}: {why}"


def _tls_failure(error: aiohttp.ClientConnectorSSLError) -> str:
    text = str(error)
    if any(
        sign in text for sign in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE", "HTTP_REQUEST")
    ):
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {text}"


def _certificate_failure(error: Exception) -> str:
    words = "tls: failed to verify certificate: x509: "
    if not isinstance(error, ssl.SSLCertVerificationError):
        return words + str(error)
    match error.verify_code:
        case 10:
            return words + "certificate has expired or is not yet valid"
        case 62 | 64:
            return words + error.verify_message.lower()
        case _:
            return words + "certificate signed by unknown authority"
