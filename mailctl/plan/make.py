"""Working out a plan: what the spec asks for, against what the host holds. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from mailctl.components import registry
from mailctl.components.base import Action as ServiceAction
from mailctl.components.base import Component
from mailctl.components.service import needless_services
from mailctl.errors import Origin, Problem, Severity
from mailctl.host import Host
from mailctl.plan.actual import Actual, Known, read_actual, without_owner
from mailctl.plan.diff import diff_directories, diff_files
from mailctl.plan.drift import list_drift
from mailctl.plan.effects import FindOrigin, count_addresses, diff_inventories
from mailctl.plan.inputs import Inputs
from mailctl.plan.inventory import Inventory
from mailctl.plan.model import NO_ADDRESSES, Drift, Plan, plan_digest, shown_directories
from mailctl.plan.stored import (
    NO_MANIFEST,
    Manifest,
    read_current,
    read_inventory,
    read_manifest,
    read_originals,
    read_tree,
)
from mailctl.plan.take import take_inventory
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import Tree


def make_plan(spec: Spec, target: Target, host: Host) -> Plan:
    """What applying `spec` would do to `host`.

    Raises:
        MailctlError: what earlier applies kept is damaged.
    """
    stored = _read_stored(host, target)
    tree = registry.render_tree(spec, target)

    def inventory(salt: str) -> Inventory:
        return take_inventory(spec, salt)

    used, unused = registry.daemons(spec, target), registry.unused_daemons(spec, target)
    problems = (*_missing_programs(spec, host), *needless_services(host, unused))
    wanted = _Wanted(tree, inventory, spec.origins.find, problems)
    return replace(
        _compare(host, target, stored, wanted), inputs=Inputs.of(spec, target, _programs(spec), used, unused)
    )


def make_rollback_plan(number: int, target: Target, host: Host) -> Plan:
    """What going back to generation `number` would do; 0 is the state before the first apply.

    Raises:
        MailctlError: there is no such generation, or it is damaged.
    """
    stored = _read_stored(host, target)

    def inventory(salt: str) -> Inventory:
        return read_inventory(host, target, number)

    wanted = _Wanted(read_tree(host, target, number), inventory, lambda path: Origin(""))
    return _compare(host, target, stored, wanted)


def still_holds(plan: Plan, target: Target, host: Host) -> bool:
    """Whether `plan` would come out the same if it were made again now: nobody touched the host's side since."""
    stored = _read_stored(host, target)
    actual = _observe(host, target, stored, plan.desired)
    return plan_digest(stored.number, actual.tree, plan.desired) == plan.digest


def service_actions(before: Tree, after: Tree) -> Iterator[tuple[Component, ServiceAction]]:
    """What each service must do when the host's files turn from `before` into `after`, in switching order."""
    return ((component, component.action(before, after)) for component in registry.COMPONENTS)


@dataclass(frozen=True, slots=True)
class _Stored:
    """The generation that serves: its number and files, and what was there before the first one."""

    number: int | None
    manifest: Manifest
    is_readable: bool = True
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The files to be, and what they mean; the inventory is taken only when something changes."""

    tree: Tree
    inventory: Callable[[str], Inventory]
    find_origin: FindOrigin
    problems: tuple[Problem, ...] = ()


def _read_stored(host: Host, target: Target) -> _Stored:
    try:
        number = read_current(host, target)
        return _Stored(number, read_manifest(host, target, number))
    except PermissionError:
        problem = _warning(
            str(target.state_dir), "earlier generations cannot be read without root; the effects are not shown"
        )
        return _Stored(None, NO_MANIFEST, is_readable=False, problems=(problem,))


def _compare(host: Host, target: Target, stored: _Stored, wanted: _Wanted) -> Plan:
    dropped = [path for path in stored.manifest.entries if path not in wanted.tree.files and _is_own_file(stored, path)]
    originals = read_originals(host, target, dropped)
    desired = Tree.of([*wanted.tree, *originals, *shown_directories(wanted.tree.directories, target)])
    actual = _observe(host, target, stored, desired)
    found, becomes = without_owner(host, actual.tree), without_owner(host, desired)
    changes = tuple(diff_files(found, becomes, actual.unreadable))
    directories = tuple(diff_directories(found, becomes))
    is_empty = not (changes or directories)
    before = Inventory.empty() if is_empty or not stored.is_readable else read_inventory(host, target, stored.number)
    after = before if is_empty or not stored.is_readable else wanted.inventory(before.salt)
    drift = tuple(_drift(stored, actual, desired))
    details = tuple(list_drift(host, target, stored.number, drift, actual.tree, desired))
    # Before the first apply the services run with files nobody here wrote: whatever they say, all is new to them.
    is_first = stored.is_readable and not stored.number
    services = service_actions(Tree({}) if is_first else actual.tree, desired)
    return Plan(
        effects=diff_inventories(before, after, wanted.find_origin),
        changes=changes,
        directories=directories,
        services=() if is_empty else tuple(action for _, action in services),
        problems=(*stored.problems, *wanted.problems, *actual.problems, *_drift_problems(stored, details)),
        drift=drift,
        drift_details=details,
        addresses=NO_ADDRESSES if is_empty else count_addresses(before, after),
        number=stored.number,
        digest=plan_digest(stored.number, actual.tree, desired),
        tree=wanted.tree,
        desired=desired,
        actual=actual.tree,
        inventory=after,
    )


def _observe(host: Host, target: Target, stored: _Stored, desired: Tree) -> Actual:
    known: dict[PurePosixPath, Known] = {**stored.manifest.entries, **desired.files}
    return read_actual(host, target, known.values(), desired.directories)


def _is_own_file(stored: _Stored, path: PurePosixPath) -> bool:
    # Old lookup tables lie in a directory of their own, which goes with the generation that used it.
    return not stored.manifest.entries[path].is_table


def _drift(stored: _Stored, actual: Actual, desired: Tree) -> Iterator[PurePosixPath]:
    """Files whose content somebody else changed since the current generation, and that would be lost."""
    for path, entry in stored.manifest.entries.items():
        found, becomes = actual.tree.files.get(path), desired.files.get(path)
        is_lost = found is not None and (becomes is None or becomes.content != found.content)
        if found is not None and is_lost and found.digest != entry.sha256:
            yield path


def _drift_problems(stored: _Stored, details: tuple[Drift, ...]) -> Iterator[Problem]:
    for each in details:
        yield _warning(str(each.path), f"changed by hand since generation {stored.number}: {each}")


def _missing_programs(spec: Spec, host: Host) -> Iterator[Problem]:
    if not host.is_live():
        return
    for program, service in _programs(spec).items():
        if host.find_program(program) is None:
            yield _warning(program, f"not installed; skipped: what {service} itself says of these files")


def _programs(spec: Spec) -> dict[str, str]:
    """The programs its services need, each with the name of the first that does."""
    found: dict[str, str] = {}
    for component in registry.enabled_components(spec):
        for program in component.required_programs(spec):
            found.setdefault(program, component.NAME)
    return found


def _warning(place: str, message: str) -> Problem:
    return Problem(Origin(place), "", message, severity=Severity.WARNING)
