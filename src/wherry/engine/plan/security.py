"""`--security-opt`: words into decisions (moby `daemon_unix.go` parseSecurityOpt)."""

from dataclasses import dataclass
from pathlib import Path

from wherry.model.config import HostConfig
from wherry.model.errors import InvalidParameter, Unsupported

UNCONFINED = "unconfined"
SELINUX = Path("/sys/fs/selinux/enforce")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityOptions:
    """What `--security-opt` decided. `seccomp` is empty for the default, `unconfined`, or a profile's JSON text."""

    no_new_privileges: bool
    writable_cgroups: bool
    seccomp: str = ""
    apparmor: str = ""


def security_options(host_config: HostConfig, *, no_new_privileges: bool) -> SecurityOptions:
    """Read the options over the daemon's default. Raises InvalidParameter in dockerd's words, Unsupported.

    A privileged container may write to its cgroups unless it is said that it must not.
    """
    found: dict[str, str | bool] = {
        "no-new-privileges": no_new_privileges,
        "writable-cgroups": host_config.privileged,
        "seccomp": "",
        "apparmor": "",
    }
    for option in host_config.security_opt or ():
        name, value = _split(option)
        match name:
            case "no-new-privileges" | "writable-cgroups":
                found[name] = _truth(value, option)
            case "seccomp" | "apparmor":
                found[name] = value
            case "label":
                # Without SELinux dockerd takes any label, too: there is nothing to be labelled.
                if value != "disable" and SELINUX.exists():
                    raise Unsupported(f"security-opt label={value} is not supported yet")
            case _:
                raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
    if host_config.privileged and not found["seccomp"]:
        found["seccomp"] = UNCONFINED
    return SecurityOptions(
        no_new_privileges=bool(found["no-new-privileges"]),
        writable_cgroups=bool(found["writable-cgroups"]),
        seccomp=str(found["seccomp"]),
        apparmor=str(found["apparmor"]),
    )


def _split(option: str) -> tuple[str, str]:
    if option in {"no-new-privileges", "disable"}:
        return ("label", "disable") if option == "disable" else (option, "true")
    for sign in ("=", ":"):  # the colon is the old spelling
        name, found, value = option.partition(sign)
        if found:
            return name, value
    raise InvalidParameter(f'invalid --security-opt 1: "{option}"')


def _truth(value: str, option: str) -> bool:
    if value.lower() in {"1", "t", "true"}:
        return True
    if value.lower() in {"0", "f", "false"}:
        return False
    raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
