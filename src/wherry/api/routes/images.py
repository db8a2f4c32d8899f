"""Routes of images: moving them in and out, naming, looking, removing."""

import re
from functools import partial

from aiohttp.web import StreamResponse

from wherry.api.answers import answer, nothing, send
from wherry.api.body import stream
from wherry.api.image_filters import image_filters
from wherry.api.progress import send_progress
from wherry.api.routing import Call, RouteTable
from wherry.api.syntax import parse
from wherry.api.views.image import image_summary_view, image_view, removed_view, step_view
from wherry.engine.images import find_image, image_users, remove_image, save_images
from wherry.images.history import history
from wherry.images.import_ import DEFAULT_MESSAGE, ImportRequest, import_image
from wherry.images.list import list_images, shared_bytes
from wherry.images.load import load
from wherry.images.progress import Report
from wherry.images.pull import pull
from wherry.images.push import push
from wherry.images.tag import tag
from wherry.model.errors import InvalidParameter
from wherry.registry.credentials import Credentials, decode_header

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
TAR_TYPE = "application/x-tar"

routes = RouteTable()


@routes.route("GET", "/images/json")
async def list_all(call: Call) -> StreamResponse:
    """`docker images`."""
    library = call.engine.library
    filters = image_filters(call.form.filters(), old_name=call.form.text("filter"))
    images = list_images(library, filters=filters, intermediate=call.form.flag("all"))
    shared = shared_bytes(library) if call.form.flag("shared-size") else {}
    users = image_users(call.engine) if call.version >= (1, 51) else {}
    counted = call.version >= (1, 51)
    return answer(
        [
            image_summary_view(
                image,
                call.version,
                containers=len(users.get(image.id, ())) if counted else -1,
                shared=shared.get(image.id, -1),
            )
            for image in images
        ]
    )


@routes.route("POST", "/images/create")
async def create_one(call: Call) -> StreamResponse:
    """`docker pull` and `docker import`."""
    if not call.form.text("fromImage"):
        return await _import(call)
    name, all_tags = _wanted_name(call)
    work = partial(
        _pull,
        call,
        name=name,
        all_tags=all_tags,
        platform=call.form.text("platform"),
        credentials=_credentials(call),
    )
    return await send_progress(call, work)


@routes.route("POST", "/images/load")
async def load_many(call: Call) -> StreamResponse:
    """`docker load`."""
    quiet, platform = call.form.flag("quiet", default=True), _json_platform(call)

    async def work(report: Report) -> None:
        await load(call.engine.library, stream(call.request), platform=platform, quiet=quiet, report=report)

    return await send_progress(call, work)


@routes.route("GET", "/images/get")
async def save_many(call: Call) -> StreamResponse:
    """`docker save` of several images. A value may hold several names, parted by commas."""
    names = [name for value in call.form.texts("names") for name in value.split(",") if name]
    archive = await save_images(call.engine, names, platform=_json_platform(call))
    return await send(call.request, archive, content_type=TAR_TYPE)


@routes.route("GET", "/images/{name}/get")
async def save_one(call: Call) -> StreamResponse:
    """`docker save`."""
    archive = await save_images(call.engine, [call.name], platform=_json_platform(call))
    return await send(call.request, archive, content_type=TAR_TYPE)


@routes.route("POST", "/images/{name}/push")
async def push_one(call: Call) -> StreamResponse:
    """`docker push`."""
    name, tag_said = call.name, call.form.text("tag")
    credentials = _credentials(call)

    async def work(report: Report) -> None:
        target = f"{name}:{tag_said}" if tag_said else name
        await push(call.engine.library, target, credentials=credentials, report=report)

    return await send_progress(call, work)


@routes.route("POST", "/images/{name}/tag")
async def tag_one(call: Call) -> StreamResponse:
    """`docker tag`. Without a repository nothing is named and nothing is wrong, as with dockerd."""
    if not call.form.text("repo"):
        return nothing(200)
    verb = tag(call.engine.library, call.name, repository=call.form.text("repo"), tag=call.form.text("tag"))
    await call.verbs.run(verb)
    return nothing(201)


@routes.route("GET", "/images/{name}/json")
async def inspect_one(call: Call) -> StreamResponse:
    """`docker image inspect`."""
    platform = _json_platform(call) if call.version >= (1, 49) else ""
    image = find_image(call.engine, call.name, platform=platform)
    storage = call.engine.storage
    data = storage.describe(image.chain_id) if image.chain_id and storage.exists(image.chain_id) else {}
    return answer(image_view(image, call.version, graph_driver=storage.name, graph_data=data))


@routes.route("GET", "/images/{name}/history")
async def history_of_one(call: Call) -> StreamResponse:
    """`docker history`."""
    image = find_image(call.engine, call.name, platform=_json_platform(call))
    return answer([step_view(step) for step in history(call.engine.library, image.id)])


@routes.route("DELETE", "/images/{name}")
async def remove_one(call: Call) -> StreamResponse:
    """`docker rmi`."""
    form = call.form
    for said in form.texts("platforms") if call.version >= (1, 50) else ():
        find_image(call.engine, call.name, platform=_platform(said))
    verb = remove_image(call.engine, call.name, force=form.flag("force"), prune_parents=not form.flag("noprune"))
    return answer([removed_view(one) for one in await call.verbs.run(verb)])


async def _pull(
    call: Call, report: Report, *, name: str, all_tags: bool, platform: str, credentials: Credentials
) -> None:
    library = call.engine.library
    await pull(library, name, platform=platform, credentials=credentials, all_tags=all_tags, report=report)


async def _import(call: Call) -> StreamResponse:
    form = call.form
    if form.text("fromSrc") != "-":
        raise InvalidParameter("importing from a URL is not served by Wherry: download it and import it from stdin")
    request = ImportRequest(
        repository=form.text("repo"),
        tag=form.text("tag"),
        message=form.text("message") or DEFAULT_MESSAGE,
        changes=tuple(form.texts("changes")),
        platform=form.text("platform"),
    )

    async def work(report: Report) -> None:
        await import_image(call.engine.library, stream(call.request), request, report=report)

    return await send_progress(call, work)


def _wanted_name(call: Call) -> tuple[str, bool]:
    """The name to pull, and whether all its tags are meant: that is how dockerd reads a name without a tag."""
    # `docker pull -a` of old clients leaves the colon at the end.
    name, tag_said = call.form.text("fromImage").removesuffix(":"), call.form.text("tag")
    if not tag_said:
        last = name.rpartition("/")[2]
        return name, ":" not in last and "@" not in last
    if ":" not in tag_said and not _TAG.fullmatch(tag_said):
        raise InvalidParameter("invalid tag format")
    return f"{name}{'@' if ':' in tag_said else ':'}{tag_said}", False


def _credentials(call: Call) -> Credentials:
    return decode_header(call.request.headers.get("X-Registry-Auth", ""))


def _json_platform(call: Call) -> str:
    """`platform` as JSON, `{"os": "linux", "architecture": "arm64"}`, since 1.48. Raises InvalidParameter."""
    text = call.form.text("platform")
    return _platform(text) if text and call.version >= (1, 48) else ""


def _platform(text: str) -> str:
    try:
        fields = parse(text.encode())
    except InvalidParameter as error:
        words = str(error).removeprefix("invalid JSON: ")
        raise InvalidParameter(f"failed to parse platform: {words}") from None
    if not isinstance(fields, dict):
        raise InvalidParameter("failed to parse platform: it is not an object")
    parts = (fields.get("os"), fields.get("architecture"), fields.get("variant"))
    return "/".join(str(part) for part in parts if part)
