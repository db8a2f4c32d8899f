"""The route of `docker commit`."""

from aiohttp.web import StreamResponse

from wherry.api.answers import answer
from wherry.api.body import read_bytes
from wherry.api.routing import Call, RouteTable
from wherry.api.shape import fields_said, shape
from wherry.api.syntax import parse
from wherry.engine.commit import CommitRequest, commit
from wherry.model.config import Config

routes = RouteTable()


@routes.route("POST", "/commit")
async def commit_one(call: Call) -> StreamResponse:
    """`docker commit`."""
    form = call.form
    request = CommitRequest(
        repository=form.text("repo"),
        tag=form.text("tag"),
        comment=form.text("comment"),
        author=form.text("author"),
        pause=form.flag("pause", default=True) or not form.text("pause"),
        changes=tuple(form.texts("changes")),
        config=await _config(call),
    )
    return answer({"Id": await call.verbs.run(commit(call.engine, form.text("container"), request))}, status=201)


async def _config(call: Call) -> Config | None:
    """The body, if it says anything."""
    data = await read_bytes(call.request)
    value = parse(data) if data else None
    return shape(value, Config, root="ContainerConfigWrapper") if fields_said(value, Config) else None
