"""The plan that changes nothing, told without loading the spec: all it was made from, and all it made, is as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mailctl.components.service import needless_services
from mailctl.errors import MailctlError
from mailctl.host import Host
from mailctl.plan.actual import read_actual, without_owner
from mailctl.plan.diff import diff_directories, diff_files
from mailctl.plan.inventory import Inventory
from mailctl.plan.model import NO_ADDRESSES, Plan, plan_digest, shown_directories
from mailctl.plan.stored import read_current, read_inputs, read_manifest
from mailctl.spec.nodes import UnreadableFileError
from mailctl.target import Target
from mailctl.tree import Tree


def unchanged(spec: Path, target: Target, host: Host, name: str | None, machine: str) -> Plan | None:
    """The empty plan, if the current generation was made from this very spec and stands as it was made.

    None where anything differs or cannot be told: making the plan says what, and what is wrong.

    Args:
        name: which host of a fleet this is; None for the one that `machine` is, gethostname(2).
    """
    try:
        number = read_current(host, target)
        inputs = read_inputs(host, target, number) if number else None
        if number is None or inputs is None or not inputs.still_hold(spec, target, name, machine):
            return None
        if host.is_live() and None in map(host.find_program, inputs.programs):
            return None
        if needless_services(host, inputs.unused):
            return None
        found = _compare(host, target, number)
        return replace(found, inputs=inputs) if found else None
    except (OSError, ValueError, TypeError, MailctlError, UnreadableFileError):
        return None


def _compare(host: Host, target: Target, number: int) -> Plan | None:
    manifest = read_manifest(host, target, number)
    places = shown_directories(manifest.directories, target)
    found = read_actual(host, target, manifest.entries.values(), places)
    files = [
        entry.file(file.content)
        for path, entry in manifest.entries.items()
        if (file := found.tree.files.get(path)) and file.digest == entry.sha256
    ]
    if len(files) < len(manifest.entries) or found.problems or found.unreadable:
        return None
    desired = Tree.of([*files, *places])
    actual, becomes = without_owner(host, found.tree), without_owner(host, desired)
    if any(diff_files(actual, becomes)) or any(diff_directories(actual, becomes)):
        return None
    return Plan(
        effects=(),
        changes=(),
        directories=(),
        services=(),
        problems=(),
        drift=(),
        drift_details=(),
        addresses=NO_ADDRESSES,
        number=number,
        digest=plan_digest(number, found.tree, desired),
        tree=desired,
        desired=desired,
        actual=found.tree,
        inventory=Inventory.empty(),
    )
