"""Whether the live server serves what was just put in place: new files, or those of an earlier generation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mailctl.apply.live_log import LogPosition, breakdowns, lines_since
from mailctl.apply.staging import refuse
from mailctl.components import registry
from mailctl.errors import Origin, Problem, Severity
from mailctl.host import Host
from mailctl.plan.stored import ORIGINALS
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import Tree

if TYPE_CHECKING:
    from mailctl.apply.live_probe import Probe

SERVES_ANYWAY = "generation 0 serves all the same: its files are those from before the first apply, not mailctl's"


def verify_live(
    host: Host,
    target: Target,
    tree: Tree,
    spec: Spec | None,
    probe: Probe | None,
    since: LogPosition,
    *,
    stays: bool = False,
) -> Iterator[Problem]:
    """What is wrong with the server of `tree`, by its services, then by strangers, then by its log.

    Without a spec, as after going back, nothing is compared with one. Where it `stays` whatever is wrong, strangers
    ask even where a service has shown that it does not serve.
    """
    found = [each for component in registry.serving_components(tree) for each in component.verify(host, tree, target)]
    yield from found
    if probe is not None and (stays or not found):
        yield from probe(target, tree, spec)
    yield from breakdowns(lines_since(host, since))


def judge_old(problems: Iterable[Problem], number: int) -> list[Problem]:
    """The warnings about generation `number`, which somebody went back to.

    Raises:
        MailctlError: it does not serve.
    """
    if number != ORIGINALS:
        return refuse(problems, f"generation {number} does not serve")
    # Whoever wants to be rid of mailctl gets his own files back, whatever they do; he must know what that is.
    found = [replace(each, severity=Severity.WARNING) for each in problems]
    return [*found, Problem(Origin("live server"), "", SERVES_ANYWAY, severity=Severity.WARNING)] if found else []
