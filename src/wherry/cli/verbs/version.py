"""`version`: of this program and of the daemon."""

from __future__ import annotations

import os
import sys

from wherry import __version__
from wherry.cli.errors import CommandError
from wherry.cli.flags import STRING, Flag, Verb
from wherry.cli.listing import FORMAT_HELP_SHORT
from wherry.cli.output import emit, flush
from wherry.client import system
from wherry.client.client import VERSION_NEWEST
from wherry.client.errors import ClientError
from wherry.jsontext import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

    Values = dict[str, Any]

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "riscv64": "riscv64"}


def of_client(api: str = "") -> Values:
    """What this program is; `api` is the version in use, when there is one."""
    machine = os.uname()
    return {
        "Version": __version__,
        "ApiVersion": api or VERSION_NEWEST,
        "DefaultAPIVersion": VERSION_NEWEST,
        "PythonVersion": sys.version.split()[0],
        "Os": machine.sysname.lower(),
        "Arch": MACHINES.get(machine.machine, machine.machine),
        "Context": "default",
    }


def _version(session: Session, given: Given, _: list[str]) -> int:
    server: Values | None = None
    failure: ClientError | CommandError | None = None
    api = ""
    try:
        server = _modern(session.client.json(system.version()))
        api = session.client.version
    except (ClientError, CommandError) as error:
        failure = error
    values = {"Client": of_client(api), "Server": server}
    if given["format"]:
        _templated(values, given["format"])
    else:
        emit(_text(values))
    flush()
    if failure is not None:
        raise failure
    return 0


def _modern(server: Values) -> Values:
    """An answer of a daemon that does not list its parts, with the engine as the one part."""
    if not server.get("Components"):
        names = ("ApiVersion", "MinAPIVersion", "GitCommit", "Os", "Arch", "KernelVersion", "BuildTime")
        details = {name: str(server.get(name, "")) for name in names}
        server["Components"] = [{"Name": "Engine", "Version": server.get("Version", ""), "Details": details}]
    return server


def _templated(values: Values, form: str) -> None:
    from wherry.gotemplate import Template, TemplateError

    if form == "json":
        emit(encode(values) + "\n")
        return
    try:
        template = Template(form, name="version")
    except TemplateError as error:
        raise CommandError(f"template parsing error: {error}", status=64) from error
    try:
        emit(template.render(values) + "\n")
    except TemplateError as error:
        raise CommandError(str(error)) from error


def _text(values: Values) -> str:
    client = values["Client"]
    api = client["ApiVersion"]
    if api != client["DefaultAPIVersion"]:
        api += f" (downgraded from {client['DefaultAPIVersion']})"
    rows = [
        ("Version", client["Version"]),
        ("API version", api),
        ("Python version", client["PythonVersion"]),
        ("OS/Arch", f"{client['Os']}/{client['Arch']}"),
        ("Context", client["Context"]),
    ]
    text = "Client:\n" + _rows(rows, 1)
    server = values["Server"]
    if server is not None:
        platform = (server.get("Platform") or {}).get("Name", "")
        text += f"\nServer:{' ' + platform if platform else ''}\n"
        text += "".join([f" {part['Name']}:\n{_rows(_part(part), 2)}" for part in server["Components"]])
    return text


def _part(part: Values) -> list[tuple[str, str]]:
    details = part.get("Details") or {}
    if part["Name"] != "Engine":
        return [("Version", part["Version"]), *details.items()]
    rows = [("Version", part["Version"])]
    api = details.get("ApiVersion", "")
    if details.get("MinAPIVersion"):
        api += f" (minimum version {details['MinAPIVersion']})"
    rows.append(("API version", api))
    named = (("Go version", "GoVersion"), ("Python version", "PythonVersion"), ("Git commit", "GitCommit"))
    rows += [(shown, details[name]) for shown, name in (*named, ("Built", "BuildTime")) if details.get(name)]
    rows.append(("OS/Arch", f"{details.get('Os', '')}/{details.get('Arch', '')}"))
    rows.append(("Experimental", details.get("Experimental", "false")))
    return rows


def _rows(rows: list[tuple[str, str]], indent: int) -> str:
    width = 18 if indent == 1 else 17
    return "".join([f"{' ' * indent}{name + ':':<{width}} {value}\n" for name, value in rows])


VERSION = Verb("[OPTIONS]", _version, Flag("format", "f", STRING, FORMAT_HELP_SHORT))
