"""Names as users give them, with Docker's complaints."""

from wherry.model.errors import InvalidParameter
from wherry.oci.image import Platform
from wherry.oci.platform import PlatformError, parse_platform
from wherry.oci.reference import InvalidReference, Reference, parse_any_reference, parse_reference


def parse_name(text: str) -> Reference:
    """A repository, with or without tag and digest. Raises InvalidParameter."""
    try:
        return parse_reference(text)
    except InvalidReference as error:
        raise InvalidParameter(str(error)) from None


def parse_any_name(text: str) -> Reference | str:
    """The same, or the digest of an image. Raises InvalidParameter."""
    try:
        return parse_any_reference(text)
    except InvalidReference as error:
        raise InvalidParameter(str(error)) from None


def parse_wanted_platform(text: str) -> Platform | None:
    """The platform a user asks for; None for none. Raises InvalidParameter."""
    try:
        return parse_platform(text) if text else None
    except PlatformError as error:
        raise InvalidParameter(str(error)) from None
