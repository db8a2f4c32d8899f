"""`/system/fsck`: an extension of Wherry's, which Docker's API does not have."""

from typing import Any

from aiohttp.web import StreamResponse

from wherry.api.answers import answer
from wherry.api.routing import Call, RouteTable
from wherry.engine.fsck import Outcome, check, repair

routes = RouteTable()


@routes.route("GET", "/system/fsck")
async def find_what_is_wrong(call: Call) -> StreamResponse:
    """`wherry system fsck`: look only. `deep=1` reads every blob."""
    findings = await call.verbs.run(check(call.engine, deep=call.form.flag("deep")))
    return answer({"Findings": [_view(Outcome(finding=finding)) for finding in findings]})


@routes.route("POST", "/system/fsck")
async def mend_what_is_wrong(call: Call) -> StreamResponse:
    """`wherry system fsck --repair`: look, and do what can be done."""
    outcomes = await call.verbs.run(repair(call.engine, deep=call.form.flag("deep")))
    return answer({"Findings": [_view(outcome) for outcome in outcomes]})


def _view(outcome: Outcome) -> dict[str, Any]:
    finding = outcome.finding
    return {
        "Kind": finding.kind,
        "Name": finding.name,
        "Problem": finding.problem,
        "Remedy": finding.remedy,
        "Repaired": outcome.is_mended,
        "Error": outcome.error,
    }
