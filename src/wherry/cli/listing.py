"""Lists of things in the form the user chose: a table, JSON, or a template."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.cli.output import emit
from wherry.cli.table import aligned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Columns = Mapping[str, Callable[[Any], Any]]

FORMAT_HELP = (
    "Format output: 'table' (default), 'table TEMPLATE', 'json', or 'TEMPLATE', a Go template applied to each line"
)
FORMAT_HELP_SHORT = "Format output: 'json', or 'TEMPLATE', a Go template"


class Listing:
    """What can be shown of one kind of thing.

    `columns` maps a template's field to a function of the item, `headers` to the words above a table, `table` names
    the usual columns, `quiet` is what `-q` shows, `raw` is the template behind `--format raw`.
    """

    __slots__ = ("columns", "headers", "quiet", "raw", "table", "type_name")

    def __init__(
        self,
        columns: Columns,
        headers: Mapping[str, str],
        table: tuple[str, ...],
        *,
        quiet: str,
        type_name: str,
        raw: str = "",
    ) -> None:
        self.columns = columns
        self.headers = headers
        self.table = table
        self.quiet = quiet
        self.type_name = type_name
        self.raw = raw


def show(listing: Listing, items: list[Any], *, form: str = "", quiet: bool = False) -> None:
    """Write `items` in the form `form`; raises CommandError for a template that does not fit."""
    if quiet:
        cell = listing.columns[listing.quiet]
        emit("".join([f"{cell(item)}\n" for item in items]))
    elif form in ("", "table"):
        emit(_table(listing, items))
    else:
        emit(_templated(listing, items, form))


def _table(listing: Listing, items: list[Any]) -> str:
    cells = [listing.columns[name] for name in listing.table]
    rows = [[listing.headers[name] for name in listing.table]]
    rows += [[cell(item) for cell in cells] for item in items]
    return aligned(rows)


def _templated(listing: Listing, items: list[Any], form: str) -> str:
    from wherry.gotemplate import Row, Template, TemplateError

    is_table = form.startswith("table")
    if form == "json":
        form = "{{json .}}"
    elif form == "raw" and listing.raw:
        form = listing.raw
    text = form.removeprefix("table").strip(" ").replace("\\t", "\t").replace("\\n", "\n")
    try:
        template = Template(text)
    except TemplateError as error:
        raise CommandError(f"failed to parse template: {error}") from error
    try:
        lines = [template.render(Row(item, listing.columns, listing.type_name)) for item in items]
        if not is_table:
            return "".join([f"{line}\n" for line in lines])
        lines.insert(0, _header(listing, text))
        return aligned([line.split("\t") for line in lines])
    except TemplateError as error:
        raise CommandError(f"failed to execute template: {error}") from error


def _header(listing: Listing, text: str) -> str:
    """The first line of a table by template: the same template over the headers, changing none of them."""
    from wherry.gotemplate import Template

    def same(value: Any, *_: Any) -> Any:
        return value

    plain = dict.fromkeys(("json", "title", "lower", "upper", "truncate", "join", "pad", "split"), same)
    headers: dict[str, Any] = {**dict.fromkeys(listing.columns, ""), **listing.headers}
    headers["Label"] = lambda name: name
    return Template(text, functions=plain).render(headers)


def label_of(labels: Mapping[str, str] | None) -> Callable[[str], str]:
    """The function behind `.Label "name"`."""
    return lambda name: (labels or {}).get(name, "")
