"""Routes of networks: looking at them."""

from aiohttp.web import StreamResponse

from wherry.api.answers import answer
from wherry.api.routing import Call, RouteTable
from wherry.api.views.network import network_view
from wherry.engine.networks import inspect_network, list_networks
from wherry.model.errors import InvalidParameter, NotFound

_TRUTHS = {"1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False", ""}

routes = RouteTable()


@routes.route("GET", "/networks")
async def list_all(call: Call) -> StreamResponse:
    """`docker network ls`."""
    return answer([network_view(network) for network in list_networks(call.engine, call.form.filters())])


@routes.route("GET", "/networks/{name}")
async def inspect_one(call: Call) -> StreamResponse:
    """`docker network inspect`."""
    verbose, scope = call.form.text("verbose"), call.form.text("scope")
    if verbose not in _TRUTHS:
        raise InvalidParameter(
            f'invalid value for verbose: {verbose}: strconv.ParseBool: parsing "{verbose}": invalid syntax'
        )
    network, members = inspect_network(call.engine, call.name)
    if scope not in {"", network.scope}:
        raise NotFound(f"network {call.name} not found")
    return answer(network_view(network, members))
