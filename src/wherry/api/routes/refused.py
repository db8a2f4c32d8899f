"""What Docker's API has and Wherry does not serve yet: refused by name, never mistaken for a wrong path."""

from aiohttp.web import StreamResponse

from wherry.api.answers import answer
from wherry.api.routing import Call, Route, RouteTable
from wherry.model.errors import NotFound, Unavailable, Unsupported

NOT_SERVED = (
    ("POST", "/build"),
    ("POST", "/build/cancel"),
    ("POST", "/session"),
    ("POST", "/grpc"),
    ("GET", "/images/search"),
    ("GET", "/images/{name}/attestations"),
    ("GET", "/distribution/{name}/json"),
    ("POST", "/networks/create"),
    ("POST", "/networks/{name}/connect"),
    ("POST", "/networks/{name}/disconnect"),
    ("DELETE", "/networks/{name}"),
    ("PUT", "/volumes/{name}"),
    ("GET", "/plugins/privileges"),
    ("POST", "/plugins/pull"),
    ("POST", "/plugins/create"),
    ("POST", "/swarm/init"),
    ("POST", "/swarm/join"),
)

# There are no plugins, so each is one that there is not.
OF_ONE_PLUGIN = (
    ("GET", "/plugins/{name}/json"),
    ("DELETE", "/plugins/{name}"),
    ("POST", "/plugins/{name}/enable"),
    ("POST", "/plugins/{name}/disable"),
    ("POST", "/plugins/{name}/upgrade"),
    ("POST", "/plugins/{name}/push"),
    ("POST", "/plugins/{name}/set"),
)

NEEDS_SWARM = (
    ("GET", "/swarm"),
    ("POST", "/swarm/leave"),
    ("POST", "/swarm/update"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/unlock"),
    ("GET", "/nodes"),
    ("GET", "/nodes/{name}"),
    ("DELETE", "/nodes/{name}"),
    ("POST", "/nodes/{name}/update"),
    ("GET", "/services"),
    ("POST", "/services/create"),
    ("GET", "/services/{name}"),
    ("DELETE", "/services/{name}"),
    ("POST", "/services/{name}/update"),
    ("GET", "/services/{name}/logs"),
    ("GET", "/tasks"),
    ("GET", "/tasks/{name}"),
    ("GET", "/tasks/{name}/logs"),
    ("GET", "/secrets"),
    ("POST", "/secrets/create"),
    ("GET", "/secrets/{name}"),
    ("DELETE", "/secrets/{name}"),
    ("POST", "/secrets/{name}/update"),
    ("GET", "/configs"),
    ("POST", "/configs/create"),
    ("GET", "/configs/{name}"),
    ("DELETE", "/configs/{name}"),
    ("POST", "/configs/{name}/update"),
)

NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)

routes = RouteTable()


@routes.route("GET", "/plugins")
async def list_plugins(_call: Call) -> StreamResponse:
    """`docker plugin ls`: there are none."""
    return answer([])


async def _say_no_plugin(call: Call) -> StreamResponse:
    raise NotFound(f'plugin "{call.name}" not found')


async def _say_no_swarm(_call: Call) -> StreamResponse:
    raise Unavailable(NO_SWARM)


def _refusing(method: str, pattern: str) -> Route:
    async def refuse(_call: Call) -> StreamResponse:
        raise Unsupported(f"{method} {pattern.replace('{name}', '{id}')} is not served by Wherry yet")

    return refuse


for _method, _pattern in NOT_SERVED:
    routes.add(_method, _pattern, _refusing(_method, _pattern))
for _method, _pattern in OF_ONE_PLUGIN:
    routes.add(_method, _pattern, _say_no_plugin)
for _method, _pattern in NEEDS_SWARM:
    routes.add(_method, _pattern, _say_no_swarm)
