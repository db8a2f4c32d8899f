"""`docker rmi`: names first, then the image, its layers and its content, by dockerd's rules.

The rules are moby's (daemon/images/image_delete.go): a name goes when it is not the last one that a container needs;
the image goes with its last name; what runs is never removed, what is merely stopped only by force.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from wherry.crashpoints import crash_point
from wherry.images.find import find
from wherry.images.garbage import discard
from wherry.images.library import Library, blobs_of
from wherry.images.naming import parse_name
from wherry.model.errors import Conflict, NotFound
from wherry.model.ids import short_id
from wherry.model.image import Image
from wherry.oci.reference import Reference, parse_reference
from wherry.records.shelf import Staged


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A container that stands on an image."""

    id: str
    is_running: bool


@dataclass(frozen=True, slots=True)
class Untagged:
    """A name that is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """An image or a layer that is gone."""

    id: str


Removed = Untagged | Deleted
Users = Mapping[str, Sequence[User]]


async def remove(
    library: Library, name: str, *, users: Users, force: bool = False, prune_parents: bool = True
) -> list[Removed]:
    """Remove a name or an image; what went, in order. Raises NotFound, Conflict, InvalidParameter.

    `users` maps the ids of images to the containers on them. `prune_parents` removes unnamed parents too.
    """
    image = find(library, name)
    verb = _Removal(library, users, force=force, prune_parents=prune_parents)
    if image.id.startswith(name) or image.id.partition(":")[2].startswith(name):
        await verb.by_id(image)
    else:
        await verb.by_name(image, name)
    return verb.removed


class _Removal:
    """One run of the verb."""

    def __init__(self, library: Library, users: Users, *, force: bool, prune_parents: bool) -> None:
        self._library = library
        self._users = users
        self._force = force
        self._prune_parents = prune_parents
        # What has gone from memory only, with the action that tells of it; see `_commit`.
        self._staged: list[tuple[Staged, str]] = []
        self.removed: list[Removed] = []

    async def by_name(self, image: Image, name: str) -> None:
        """Remove one name, and the image when it was the last."""
        users = self._users.get(image.id, ())
        if not self._force and users and _is_single(self._references(image.id)):
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force) - container '
                f"{short_id(users[0].id)} is using its referenced image {short_id(image.id)}"
            )
        given = parse_name(name)
        target = given.with_digest(given.digest) if given.digest else given.with_default_tag()
        self._untag(target)
        if not target.digest and not self._has_tag_in(image.id, target.name):
            for each in self._references(image.id):
                if each.name == target.name:
                    self._untag(each)
        if not self._references(image.id):
            await self._delete(image, is_quiet=True)
        await self._commit(image)

    async def by_id(self, image: Image) -> None:
        """Remove the image with its names, if they are all in one repository."""
        references = self._references(image.id)
        if _is_single(references):
            self._check(image, ignore_names=True)
            for each in references:
                self._untag(each)
        await self._delete(image, is_quiet=False)

    async def _delete(self, image: Image, *, is_quiet: bool) -> None:
        """`is_quiet`: a name is gone already, which is enough when the image itself must stay."""
        try:
            self._check(image, ignore_names=False)
        except Conflict:
            if is_quiet:
                return
            raise
        for each in self._references(image.id):
            self._untag(each)
        self._staged.append((self._library.images.stage_removal(image.id), "delete"))
        self.removed.append(Deleted(image.id))
        for blob in blobs_of(image):
            # Should a crash come between the record's end and theirs, the next start removes them.
            self._library.content.age(blob)
        crash_point("rmi.blobs-aged")
        await self._commit(image)
        self.removed += [Deleted(chain_id) for chain_id in await discard(self._library, image)]
        crash_point("rmi.discarded")
        parent = self._library.images.get(image.parent) if image.parent else None
        if self._prune_parents and parent is not None:
            await self._delete_parent(parent)

    async def _delete_parent(self, parent: Image) -> None:
        with suppress(Conflict):
            self._force = False
            await self._delete(parent, is_quiet=True)

    def _check(self, image: Image, *, ignore_names: bool) -> None:
        """Raise Conflict for what stands against a removal; force helps against the soft reasons only."""
        if any(other.parent == image.id for other in self._library.images.values()):
            raise Conflict(_words(image, "cannot be forced", "image has dependent child images"))
        users = self._users.get(image.id, ())
        running = next((user for user in users if user.is_running), None)
        if running is not None:
            why = f"image is being used by running container {short_id(running.id)}"
            raise Conflict(_words(image, "cannot be forced", why))
        if self._force:
            return
        if not ignore_names and self._references(image.id):
            raise Conflict(_words(image, "must be forced", "image is referenced in multiple repositories"))
        if users:
            why = f"image is being used by stopped container {short_id(users[0].id)}"
            raise Conflict(_words(image, "must be forced", why))

    def _untag(self, reference: Reference) -> None:
        if self._library.tags.get(str(reference)) is None:
            raise NotFound(f"No such image: {reference.familiar}")
        self._staged.append((self._library.tags.stage_removal(str(reference)), "untag"))
        self.removed.append(Untagged(reference.familiar))

    async def _commit(self, image: Image) -> None:
        """Names and image go together, and are told when they are gone for good."""
        staged, self._staged = self._staged, []
        if not staged:
            return
        await self._library.tags.commit(*(each for each, _ in staged))
        self._library.index_is_stale.set()
        crash_point("rmi.recorded")
        for _, action in staged:
            self._library.announce(action, image.id, image.id, None if action == "delete" else image)

    def _references(self, image_id: str) -> list[Reference]:
        return [parse_reference(tag.reference) for tag in self._library.names_of(image_id)]

    def _has_tag_in(self, image_id: str, repository: str) -> bool:
        return any(each.name == repository and not each.digest for each in self._references(image_id))


def _words(image: Image, force: str, why: str) -> str:
    return f"conflict: unable to delete {short_id(image.id)} ({force}) - {why}"


def _is_single(references: list[Reference]) -> bool:
    """At most one tag, and digests of no other repository (moby isSingleReference)."""
    tags = [each for each in references if not each.digest]
    return len(tags) <= 1 and len({each.name for each in references}) <= 1
