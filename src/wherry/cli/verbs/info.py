"""`info`: the daemon's state and abilities."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.cli.flags import STRING, Flag, Verb
from wherry.cli.human import size_binary
from wherry.cli.listing import FORMAT_HELP_SHORT
from wherry.cli.output import complain, emit, flush
from wherry.cli.verbs.version import of_client
from wherry.client import system
from wherry.client.errors import ClientError
from wherry.jsontext import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

    Values = dict[str, Any]


def _info(session: Session, given: Given, _: list[str]) -> int:
    values: Values = {}
    failure: ClientError | CommandError | None = None
    try:
        values = session.client.json(system.info())
    except (ClientError, CommandError) as error:
        failure = error
    client = {"Debug": False, **of_client(), "Plugins": [], "Warnings": None}
    if given["format"]:
        _templated({**values, "ClientInfo": client}, given["format"])
    else:
        emit(f"Client:\n Version:    {client['Version']}\n Context:    default\n Debug Mode: false\n\nServer:\n")
        emit("".join([f" {text}\n" for text in (_lines(values) if values else [])]) + "\n" * bool(values))
    flush()
    for warning in values.get("Warnings") or ():
        complain(warning)
    if failure is not None:
        raise failure
    return 0


def _templated(values: Values, form: str) -> None:
    from wherry.gotemplate import Template, TemplateError

    if form == "json":
        emit(encode(values) + "\n")
        return
    try:
        template = Template(form)
    except TemplateError as error:
        raise CommandError(f"template parsing error: {error}", status=64) from error
    try:
        emit(template.render(values) + "\n")
    except TemplateError as error:
        raise CommandError(str(error)) from error


def _lines(it: Values) -> list[str]:
    """What is known about the daemon, a line each; deeper lines begin with spaces."""
    return [*_counts(it), *_drivers(it), *_runtimes(it), *_host(it), *_registries(it)]


def _counts(it: Values) -> list[str]:
    return [
        f"Containers: {it['Containers']}",
        f" Running: {it['ContainersRunning']}",
        f" Paused: {it['ContainersPaused']}",
        f" Stopped: {it['ContainersStopped']}",
        f"Images: {it['Images']}",
    ]


def _said(it: Values, *names: tuple[str, str]) -> list[str]:
    return [f"{shown}: {it[name]}" for shown, name in names if it.get(name)]


def _drivers(it: Values) -> list[str]:
    lines = _said(it, ("Server Version", "ServerVersion"), ("Storage Driver", "Driver"))
    lines += [f" {name}: {value}" for name, value in it.get("DriverStatus") or ()]
    lines += _said(
        it, ("Logging Driver", "LoggingDriver"), ("Cgroup Driver", "CgroupDriver"), ("Cgroup Version", "CgroupVersion")
    )
    plugins = it.get("Plugins") or {}
    lines += ["Plugins:", f" Volume: {' '.join(plugins.get('Volume') or ())}"]
    lines += [f" Network: {' '.join(plugins.get('Network') or ())}"]
    for kind in ("Authorization", "Log"):
        if plugins.get(kind):
            lines.append(f" {kind}: {' '.join(plugins[kind])}")
    if it.get("CDISpecDirs"):
        lines += ["CDI spec directories:", *[f" {path}" for path in it["CDISpecDirs"]]]
    return [*lines, f"Swarm: {(it.get('Swarm') or {}).get('LocalNodeState', 'inactive')}"]


def _runtimes(it: Values) -> list[str]:
    lines: list[str] = []
    if it.get("Runtimes"):
        lines += [f"Runtimes: {' '.join(sorted(it['Runtimes']))}", f"Default Runtime: {it.get('DefaultRuntime', '')}"]
    lines += _said(it, ("Init Binary", "InitBinary"))
    for part, shown in (("ContainerdCommit", "containerd"), ("RuncCommit", "runc"), ("InitCommit", "init")):
        if it.get(part):
            lines.append(f"{shown} version: {it[part].get('ID', '')}")
    if it.get("SecurityOptions"):
        lines.append("Security Options:")
        for option in it["SecurityOptions"]:
            lines += _security(option)
    return lines


def _security(option: str) -> list[str]:
    """`name=seccomp,profile=builtin` as a name and the rest below it."""
    fields = [field.partition("=") for field in option.split(",")]
    name = next((value for key, _, value in fields if key == "name"), option)
    return [f" {name}", *[f"  {key.title()}: {value}" for key, _, value in fields if key != "name" and value]]


def _host(it: Values) -> list[str]:
    lines = _said(
        it,
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
    )
    lines += [f"CPUs: {it.get('NCPU', 0)}", f"Total Memory: {size_binary(it.get('MemTotal', 0))}"]
    lines += [
        f"Name: {it.get('Name', '')}",
        f"ID: {it.get('ID', '')}",
        f"Docker Root Dir: {it.get('DockerRootDir', '')}",
    ]
    lines.append(f"Debug Mode: {_yes(it.get('Debug'))}")
    if it.get("Debug"):
        lines += [f" File Descriptors: {it.get('NFd', 0)}", f" System Time: {it.get('SystemTime', '')}"]
        lines.append(f" EventsListeners: {it.get('NEventsListener', 0)}")
    lines += _said(it, ("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy"))
    if it.get("Labels"):
        lines += ["Labels:", *[f" {label}" for label in it["Labels"]]]
    return [*lines, f"Experimental: {_yes(it.get('ExperimentalBuild'))}"]


def _registries(it: Values) -> list[str]:
    registry = it.get("RegistryConfig") or {}
    lines: list[str] = []
    insecure = [name for name, index in (registry.get("IndexConfigs") or {}).items() if not index.get("Secure")]
    insecure += registry.get("InsecureRegistryCIDRs") or []
    if insecure:
        lines += ["Insecure Registries:", *[f" {name}" for name in insecure]]
    if registry.get("Mirrors"):
        lines += ["Registry Mirrors:", *[f" {mirror}" for mirror in registry["Mirrors"]]]
    lines.append(f"Live Restore Enabled: {_yes(it.get('LiveRestoreEnabled'))}")
    lines += _said(it, ("Product License", "ProductLicense"))
    if it.get("DefaultAddressPools"):
        pools = it["DefaultAddressPools"]
        lines += ["Default Address Pools:", *[f"  Base: {pool['Base']}, Size: {pool['Size']}" for pool in pools]]
    return lines


def _yes(value: Any) -> str:
    return "true" if value else "false"


INFO = Verb("[OPTIONS]", _info, Flag("format", "f", STRING, FORMAT_HELP_SHORT))
