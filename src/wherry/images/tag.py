"""`docker tag`: one more name for an image."""

from wherry.crashpoints import crash_point
from wherry.images.find import find
from wherry.images.library import Library
from wherry.images.naming import parse_name
from wherry.model.errors import InvalidParameter
from wherry.oci.reference import InvalidReference, Reference


async def tag(library: Library, image: str, *, repository: str, tag: str = "") -> None:
    """Point a name at an image, away from another if need be. Raises NotFound, InvalidParameter; durable on return."""
    target = new_name(repository, tag)
    found = find(library, image)
    await library.name(found.id, target)
    crash_point("tag.recorded")
    library.announce("tag", found.id, target.familiar, found)


def new_name(repository: str, tag: str = "") -> Reference:
    """A name that an image may be given. Raises InvalidParameter (moby daemon/images/image_tag.go, reference store)."""
    reference = parse_name(repository)
    if reference.digest:
        raise InvalidParameter("cannot import digest reference")
    if tag:
        try:
            reference = reference.with_tag(tag)
        except InvalidReference as error:
            raise InvalidParameter(str(error)) from None
    if reference.familiar_name == "sha256":
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    return reference.with_default_tag()
