"""What can be found wrong with a request before anything is made, beyond the single values."""

from collections.abc import Iterable
from ipaddress import ip_address

from wherry.engine.defaults import capabilities
from wherry.engine.defaults.devices import device_rules
from wherry.engine.mounting import check_sources
from wherry.engine.plan.process import rlimits
from wherry.engine.plan.security import security_options
from wherry.engine.plan.spec import sysctls
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter
from wherry.networks.files import extra_host


def verify(container: Container) -> None:
    """Raise InvalidParameter or Unsupported in dockerd's words, as dockerd does when a container is created."""
    host_config = container.host_config
    capabilities.check(host_config.cap_add or (), host_config.cap_drop or (), capabilities.available())
    security_options(host_config, no_new_privileges=False)
    device_rules(host_config.device_cgroup_rules or (), privileged=host_config.privileged)
    rlimits(host_config.ulimits or (), ())
    sysctls(container)
    check_sources(container.mounts)
    _check_name_servers(host_config.dns or ())
    for entry in host_config.extra_hosts or ():
        extra_host(entry)


def _check_name_servers(said: Iterable[str]) -> None:
    for server in said:
        try:
            ip_address(server)
        except ValueError:
            words = f'ParseAddr("{server}"): unable to parse IP'
            raise InvalidParameter(f"bad nameserver address {server}: {words}") from None
