"""mailctl validate: every problem of the spec at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl.cli.common import Session, common_options
from mailctl.errors import ExitCode, Problem, Severity, SpecError

if TYPE_CHECKING:
    from mailctl.spec.model import Spec

SKIPPED = "what the services say of the rendered files (postconf, doveconf, opendkim), certificates, DNS"


@click.command()
@common_options
@click.pass_obj
def validate(session: Session) -> int:
    """Check the spec and name every problem at once, with the overrides of each of its hosts.

    Needs neither root nor Postfix: what only the services themselves can check is left to plan and apply.
    """
    from mailctl.spec.load import check_spec

    path = session.find_spec()
    checked = check_spec(path)
    found = checked.problems
    if checked.spec is not None and not _errors(found):
        found = [*found, *_problems_of_rendering(checked.spec)]
    errors = _errors(found)
    warnings = len(found) - errors
    totals = f"{path}: {_count(errors, 'problem')}, {_count(warnings, 'warning')}"
    data = {
        "spec": str(path),
        "valid": errors == 0,
        "skipped": [SKIPPED],
        "diagnostics": [problem.as_json() for problem in found],
    }
    session.emit("\n".join((*map(str, found), totals)), data)
    session.say(f"not checked here: {SKIPPED}")
    return ExitCode.SPEC_INVALID if errors else ExitCode.OK


def _errors(found: list[Problem]) -> int:
    return sum(problem.severity is Severity.ERROR for problem in found)


def _problems_of_rendering(spec: Spec) -> list[Problem]:
    """What the components refuse, such as a setting of `postfix:` that mailctl manages."""
    from mailctl.components.registry import render_tree
    from mailctl.spec.load import with_excerpts
    from mailctl.target import DEBIAN_12

    try:
        render_tree(spec, DEBIAN_12)
    except SpecError as error:
        return with_excerpts(error.problems, spec)
    return []


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
