"""The drivers that keep lines on this host and send them nowhere: `json-file`, `local`, `none`."""

from collections.abc import Mapping
from functools import partial

from wherry.logs.driver import Keeping, Sender
from wherry.logs.options import (
    ATTRIBUTE_OPTIONS,
    check_common,
    check_names,
    parse_bool,
    parse_int,
    parse_limit,
    read,
)
from wherry.logs.subject import Subject
from wherry.logs.tags import tag_of
from wherry.model.errors import InvalidParameter

# So that no container fills the disk (moby#27957): what dockerd's own `local` has.
MAX_SIZE, MAX_FILE = "20m", "5"
_ROTATION = ("max-size", "max-file", "compress")


class JsonFileDriver:
    """`wherry.logs.driver.LogDriver` of Docker's file format."""

    name = "json-file"
    sends = False
    defaults: Mapping[str, str] = {"max-size": MAX_SIZE, "max-file": MAX_FILE}

    def check(self, options: Mapping[str, str]) -> None:
        """What dockerd finds wrong at create. Raises InvalidParameter."""
        check_common(options)
        check_names(options, (*_ROTATION, *ATTRIBUTE_OPTIONS), words="unknown log opt '{}' for json-file log driver")

    def keeping(self, options: Mapping[str, str]) -> Keeping:
        """What is written. Raises InvalidParameter."""
        bytes_max = read(options, "max-size", parse_limit, None)
        if bytes_max == 0:
            raise InvalidParameter("max-size must be a positive number")
        files_max = read(options, "max-file", parse_int, 1)
        if files_max < 1:
            raise InvalidParameter("max-file cannot be less than 1")
        compress = read(options, "compress", parse_bool, False)
        if compress and (files_max == 1 or bytes_max is None):
            raise InvalidParameter("compress cannot be true when max-file is less than 2 or max-size is not set")
        return Keeping(format=self.name, bytes_max=bytes_max, files_max=files_max, compress=compress)

    def attributes(self, subject: Subject) -> Mapping[str, str]:
        """Labels and variables that were chosen, and the tag if one was asked for. Raises InvalidParameter."""
        return kept_attributes(subject)

    def sender(self, subject: Subject) -> Sender | None:
        """Nothing is sent."""
        del subject
        return None


class LocalDriver:
    """`wherry.logs.driver.LogDriver` of the compact format, which is compressed and finds times and ends at once."""

    name = "local"
    sends = False
    defaults: Mapping[str, str] = {"max-size": MAX_SIZE, "max-file": MAX_FILE, "compress": "true"}

    def check(self, options: Mapping[str, str]) -> None:
        """What dockerd finds wrong at create; like its newest, we take labels, variables and a tag as well."""
        check_common(options)
        check_names(options, (*_ROTATION, *ATTRIBUTE_OPTIONS), words="unknown log opt '{}' for log driver local")

    def keeping(self, options: Mapping[str, str]) -> Keeping:
        """What is written. Raises InvalidParameter."""
        return compact_keeping({**self.defaults, **options})

    def attributes(self, subject: Subject) -> Mapping[str, str]:
        """As those of json-file. Raises InvalidParameter."""
        return kept_attributes(subject)

    def sender(self, subject: Subject) -> Sender | None:
        """Nothing is sent."""
        del subject
        return None


class NoneDriver:
    """`wherry.logs.driver.LogDriver` that keeps nothing."""

    name = "none"
    sends = False
    defaults: Mapping[str, str] = {}

    def check(self, options: Mapping[str, str]) -> None:
        """As dockerd: any option will do."""

    def keeping(self, options: Mapping[str, str]) -> Keeping:
        """Nothing."""
        del options
        return Keeping(format=self.name)

    def attributes(self, subject: Subject) -> Mapping[str, str]:
        """None."""
        del subject
        return {}

    def sender(self, subject: Subject) -> Sender | None:
        """Nothing is sent."""
        del subject
        return None


def kept_attributes(subject: Subject) -> dict[str, str]:
    """What `logs --details` shows. Raises InvalidParameter."""
    if not any(name in subject.options for name in ATTRIBUTE_OPTIONS):
        return {}
    attributes = subject.extra_attributes()
    if tag := tag_of(subject, ""):
        attributes["tag"] = tag
    return attributes


def compact_keeping(options: Mapping[str, str]) -> Keeping:
    """The rotation of a `local` file (moby daemon/logger/local/config.go). Raises InvalidParameter."""
    said = partial(read, options)
    bytes_max = said(
        "max-size", parse_limit, None, words=f"invalid value for max-size: {options.get('max-size')}: {{}}"
    )
    files_max = said("max-file", parse_int, 1, words=f"invalid value for max-file: {options.get('max-file')}: {{}}")
    compress = said("compress", parse_bool, False, words="error reading compress log option: {}")
    if files_max < 0:
        raise InvalidParameter("max file count cannot be less than 0")
    if compress and files_max <= 1:
        raise InvalidParameter("compression cannot be enabled when max file count is 1")
    return Keeping(format="local", bytes_max=bytes_max or None, files_max=max(1, files_max), compress=compress)


def cache_keeping(options: Mapping[str, str]) -> Keeping:
    """What a driver that sends lines keeps: until they are sent, and for `docker logs`. Raises InvalidParameter."""
    said = {name.removeprefix("cache-"): value for name, value in options.items() if name.startswith("cache-")}
    return compact_keeping({**LocalDriver.defaults, **said})
