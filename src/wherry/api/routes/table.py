"""All routes in one table."""

from wherry.api.routes import (
    containers,
    debug,
    disk_usage,
    execs,
    fsck,
    images,
    networks,
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
    for each in (refused, containers, streams, execs, images, networks, volumes, disk_usage, system):
        table.include(each.routes)
    for extension in (debug, fsck, sessions):
        table.include(extension.routes)
    return table
