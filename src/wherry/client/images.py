"""Calls about images. `name` is a reference or an id."""

from __future__ import annotations

from wherry.client.call import Call, escape, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The slashes and colons of a reference are part of the path.
_REFERENCE = b"/:@"


def listing(
    *, all_images: bool = False, digests: bool = False, wanted: Mapping[str, Iterable[str]] | None = None
) -> Call:
    """Images as a list of summaries, newest first."""
    return Call("GET", "/images/json", query={"all": all_images, "digests": digests, "filters": filters(wanted)})


def inspect(name: str, *, platform: str = "") -> Call:
    """All about one image: an object. `platform` is JSON, as `platform_json` makes it."""
    return Call("GET", f"/images/{escape(name, _REFERENCE)}/json", query={"platform": platform})


def history(name: str, *, platform: str = "") -> Call:
    """The steps it was made by, last one first."""
    return Call("GET", f"/images/{escape(name, _REFERENCE)}/history", query={"platform": platform})


def pull(repository: str, tag: str, *, platform: str = "", auth: str = "") -> Call:
    """A stream of progress messages. `tag` may be a digest; "" means all tags. `auth` is X-Registry-Auth."""
    query = {"fromImage": repository, "tag": tag, "platform": platform}
    return Call("POST", "/images/create", query=query, headers=_auth(auth))


def import_(
    source: str,
    *,
    repository: str = "",
    tag: str = "",
    message: str = "",
    changes: list[str] | None = None,
    platform: str = "",
    body: Iterable[bytes] | None = None,
) -> Call:
    """An image from the tar at the URL `source`, or in `body` with `-`; a stream of progress messages."""
    query = {
        "fromSrc": source,
        "repo": repository,
        "tag": tag,
        "message": message,
        "changes": list(changes or ()),
        "platform": platform,
    }
    return Call("POST", "/images/create", query=query, body=body, headers={"Content-Type": "text/plain"})


def push(name: str, *, tag: str = "", auth: str = "", platform: str = "") -> Call:
    """A stream of progress messages; without a tag all tags of the repository go."""
    path = f"/images/{escape(name, _REFERENCE)}/push"
    return Call("POST", path, query={"tag": tag, "platform": platform}, headers=_auth(auth))


def tag(name: str, *, repository: str, tag: str) -> Call:
    """One more name for an image."""
    return Call("POST", f"/images/{escape(name, _REFERENCE)}/tag", query={"repo": repository, "tag": tag})


def remove(name: str, *, force: bool = False, no_prune: bool = False, platforms: list[str] | None = None) -> Call:
    """Untag and perhaps delete; a list of `Untagged` and `Deleted`."""
    query = {"force": force, "noprune": no_prune, "platforms": list(platforms or ())}
    return Call("DELETE", f"/images/{escape(name, _REFERENCE)}", query=query)


def load(body: Iterable[bytes], *, quiet: bool = False, platforms: list[str] | None = None) -> Call:
    """Images from a tar archive; a stream of progress messages."""
    query = {"quiet": "1" if quiet else "0", "platform": list(platforms or ())}
    return Call("POST", "/images/load", query=query, body=body, headers={"Content-Type": "application/x-tar"})


def save(names: list[str], *, platforms: list[str] | None = None) -> Call:
    """Images as a tar archive."""
    return Call("GET", "/images/get", query={"names": names, "platform": list(platforms or ())})


def _auth(auth: str) -> dict[str, str]:
    return {"X-Registry-Auth": auth} if auth else {}
