"""One try to reach a server."""

import http.client
import socket

SECONDS = 2.0


def answers(host: str, port: int, path: str) -> bool:
    """Whether a web server answers a GET of `path` with a status below 400."""
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def accepts(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError:
        return False
    return True
