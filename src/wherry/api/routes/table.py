"""All routes in one table."""

from wherry.api.routes import (
    archive,
    commit,
    containers,
    debug,
    disk_usage,
    execs,
    fsck,
    images,
    networks,
    prune,
    refused,
    sessions,
    streams,
    system,
    volumes,
)
from wherry.api.routing import RouteTable


def all_routes() -> RouteTable:
    """What the daemon serves."""
    table = RouteTable()
    of_objects = (containers, archive, commit, prune, streams, execs, images, networks, volumes)
    for each in (refused, *of_objects, disk_usage, system):
        table.include(each.routes)
    for extension in (debug, fsck, sessions):
        table.include(extension.routes)
    return table
