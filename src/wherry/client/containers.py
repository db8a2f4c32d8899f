"""Calls about containers. `name` is a name, an id or a prefix of an id."""

from __future__ import annotations

from wherry.client.call import Call, escape, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def listing(
    *, all_states: bool = False, limit: int = -1, size: bool = False, wanted: Mapping[str, Iterable[str]] | None = None
) -> Call:
    """Containers as a list of summaries, newest first; `limit` counts stopped ones too."""
    query = {"all": all_states, "limit": limit if limit > 0 else None, "size": size, "filters": filters(wanted)}
    return Call("GET", "/containers/json", query=query)


def inspect(name: str, *, size: bool = False) -> Call:
    """All about one container: an object."""
    return Call("GET", f"/containers/{escape(name)}/json", query={"size": size})


def create(body: Mapping[str, Any], *, name: str = "", platform: str = "") -> Call:
    """Make a container from configuration; the answer has `Id` and `Warnings`."""
    return Call("POST", "/containers/create", query={"name": name, "platform": platform}, json=dict(body))


def start(name: str, *, detach_keys: str = "") -> Call:
    """Start it; nothing comes back."""
    return Call("POST", f"/containers/{escape(name)}/start", query={"detachKeys": detach_keys})


def stop(name: str, *, timeout_seconds: int | None = None, signal: str = "") -> Call:
    """Ask it to end, then kill it; -1 waits for ever, None is the container's own time."""
    return Call("POST", f"/containers/{escape(name)}/stop", query={"t": timeout_seconds, "signal": signal})


def restart(name: str, *, timeout_seconds: int | None = None, signal: str = "") -> Call:
    """Stop and start it."""
    return Call("POST", f"/containers/{escape(name)}/restart", query={"t": timeout_seconds, "signal": signal})


def kill(name: str, *, signal: str = "") -> Call:
    """Send a signal, by name or number; KILL when none is said."""
    return Call("POST", f"/containers/{escape(name)}/kill", query={"signal": signal})


def pause(name: str) -> Call:
    """Freeze all its processes."""
    return Call("POST", f"/containers/{escape(name)}/pause")


def unpause(name: str) -> Call:
    """Let them go on."""
    return Call("POST", f"/containers/{escape(name)}/unpause")


def rename(name: str, new_name: str) -> Call:
    """Give it another name."""
    return Call("POST", f"/containers/{escape(name)}/rename", query={"name": new_name})


def remove(name: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> Call:
    """Remove it; `force` kills first, `volumes` takes its anonymous volumes along."""
    return Call("DELETE", f"/containers/{escape(name)}", query={"force": force, "v": volumes, "link": link})


def wait(name: str, *, condition: str = "") -> Call:
    """Wait for `next-exit`, `removed` or (default) `not-running`; the answer has `StatusCode` and maybe `Error`."""
    return Call("POST", f"/containers/{escape(name)}/wait", query={"condition": condition})


def attach(name: str, *, stdin: bool, stdout: bool, stderr: bool, detach_keys: str = "", logs: bool = False) -> Call:
    """A stream to hijack: the container's standard streams, framed unless it has a terminal."""
    query = {
        "stream": True,
        "stdin": stdin,
        "stdout": stdout,
        "stderr": stderr,
        "logs": logs,
        "detachKeys": detach_keys,
    }
    return Call("POST", f"/containers/{escape(name)}/attach", query=query)


def resize(name: str, *, rows: int, columns: int) -> Call:
    """Tell its terminal the size."""
    return Call("POST", f"/containers/{escape(name)}/resize", query={"h": rows, "w": columns})


def clear_logs(name: str) -> Call:
    """Forget what a container wrote so far: an extension of Wherry's."""
    return Call("DELETE", f"/containers/{escape(name)}/logs")


def logs(
    name: str,
    *,
    follow: bool = False,
    timestamps: bool = False,
    details: bool = False,
    tail: str = "",
    since: str = "",
    until: str = "",
    stdout: bool = True,
    stderr: bool = True,
) -> Call:
    """What it wrote, framed unless it has a terminal. Times are Unix seconds; `tail` is a number or `all`."""
    query = {
        "stdout": stdout,
        "stderr": stderr,
        "follow": follow,
        "timestamps": timestamps,
        "details": details,
        "tail": tail,
        "since": since,
        "until": until,
    }
    return Call("GET", f"/containers/{escape(name)}/logs", query=query)


def top(name: str, arguments: str = "") -> Call:
    """Its processes as ps shows them: `Titles` and `Processes`."""
    return Call("GET", f"/containers/{escape(name)}/top", query={"ps_args": arguments})


def stats(name: str, *, stream: bool = False, one_shot: bool = False) -> Call:
    """What it uses: one object, or with `stream` one a second. `one_shot` does not wait for a second reading."""
    query = {"stream": "true" if stream else "false", "one-shot": one_shot}
    return Call("GET", f"/containers/{escape(name)}/stats", query=query)


def changes(name: str) -> Call:
    """What differs from its image: a list of `Path` and `Kind` (0 changed, 1 added, 2 deleted)."""
    return Call("GET", f"/containers/{escape(name)}/changes")


def export(name: str) -> Call:
    """Its whole file system as a tar archive."""
    return Call("GET", f"/containers/{escape(name)}/export")


def path_status(name: str, path: str) -> Call:
    """What a path is; the answer's header X-Docker-Container-Path-Stat says it, as JSON in base64."""
    return Call("HEAD", f"/containers/{escape(name)}/archive", query={"path": path})


def archive(name: str, path: str) -> Call:
    """A file or directory as a tar archive; its header says what `path_status` says."""
    return Call("GET", f"/containers/{escape(name)}/archive", query={"path": path})


def extract(
    name: str, path: str, body: bytes | Iterable[bytes], *, keep_kinds: bool = False, chown: bool = False
) -> Call:
    """Unpack a tar archive in the directory `path`; `keep_kinds` refuses to put a file for a directory or back.

    With `chown` what it holds becomes the container's user's.
    """
    query = {"path": path, "noOverwriteDirNonDir": keep_kinds, "copyUIDGID": chown}
    headers = {"Content-Type": "application/x-tar"}
    return Call("PUT", f"/containers/{escape(name)}/archive", query=query, body=body, headers=headers)


def commit(
    name: str,
    *,
    repository: str = "",
    tag: str = "",
    comment: str = "",
    author: str = "",
    pause: bool = True,
    changes: list[str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Call:
    """Make an image of it; the answer has `Id`. `config` is the image's, the container's own when None."""
    query = {
        "container": name,
        "repo": repository,
        "tag": tag,
        "comment": comment,
        "author": author,
        "pause": "1" if pause else "0",
        "changes": list(changes or ()),
    }
    return Call("POST", "/commit", query=query, json=None if config is None else dict(config))


def update(name: str, body: Mapping[str, Any]) -> Call:
    """Change its limits and its restart policy; the answer has `Warnings`."""
    return Call("POST", f"/containers/{escape(name)}/update", json=dict(body))
