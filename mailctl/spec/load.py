"""Loads a spec: reads its files, types them, applies the rules; every problem at once, each with its place."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from mailctl.errors import Origin, Problem, Severity, SpecError
from mailctl.spec.fleet import FleetMember, host_names, host_of_machine, hosts_of, root_for
from mailctl.spec.hints import shortened
from mailctl.spec.include import SpecFiles, read_spec_files
from mailctl.spec.messages import SpecPath, shape_problems
from mailctl.spec.model import Server, Spec
from mailctl.spec.nodes import MOST_PROBLEMS, MappingNode
from mailctl.spec.places import FilePlaces, excerpts
from mailctl.spec.rules import check_rules
from mailctl.spec.secrets import FORGIVING
from mailctl.spec.twins import twin_keys

# Each try to type what is left takes as long as a load, and a value missing at the top cannot be left out.
MOST_TRIES = 3
LONGEST_PATH = 300


def load_spec(path: Path, host: str | None = None, machine: str | None = None) -> Spec:
    """The spec at `path`, as it is for one host of a fleet.

    Args:
        host: which host; without it, the one that `machine` is; without both, the spec without overrides.
        machine: what the machine calls itself, gethostname(2).

    Raises:
        SpecError: with every problem of the spec, in the order of its lines.
        UsageError: the spec has no such host, or it has hosts and none is this machine.
    """
    with _no_garbage_collection():
        files = read_spec_files(path)
        if files.root is not None and host is None and machine is not None:
            host = host_of_machine(host_names(files.root), machine)
        found = _check(files, host)
    if found.spec is None or any(problem.severity is Severity.ERROR for problem in found.problems):
        problems = _presentable(found.problems, files, path)
        raise SpecError(f"{path} is not valid: {_count(problems)}", problems=problems)
    return found.spec


def load_servers(path: Path) -> tuple[Server, ...]:
    """Every server of a fleet, of a spec that loads; its only one where it has no hosts.

    Raises:
        SpecError: the overrides of a host are not valid.
    """
    root = read_spec_files(path).root
    if root is None:
        return ()
    try:
        servers = [Server.model_validate(root_for(root, host)["server"]) for host in hosts_of(root) or (None,)]
    except ValidationError as error:
        raise SpecError(f"{path}: a host is not valid", hint="`mailctl validate` says what is wrong") from error
    return tuple({each.hostname: each for each in servers}.values())


@dataclass(frozen=True, slots=True)
class Checked:
    """What a spec holds and what is wrong with it; `spec` is None where it could not be typed as a whole."""

    spec: Spec | None
    problems: list[Problem]


def check_spec(path: Path) -> Checked:
    """The spec at `path` and everything wrong with it, warnings included, with the overrides of each of its hosts."""
    with _no_garbage_collection():
        files = read_spec_files(path)
        base = _check(files, None)
        found = list(base.problems)
        for host in hosts_of(files.root):
            # What one host has no use for another has: warnings are about the spec without overrides.
            errors = [each for each in _check(files, host).problems if each.severity is Severity.ERROR]
            found += [
                replace(each, message=f"for host {host!r}: {each.message}") for each in errors if each not in found
            ]
    return Checked(base.spec, _presentable(found, files, path))


def problems(path: Path) -> list[Problem]:
    """Everything wrong with the spec at `path`, as `check_spec` finds it."""
    return check_spec(path).problems


def with_excerpts(found: Iterable[Problem], spec: Spec) -> list[Problem]:
    """Problems that others found in `spec`, each with the line it is about."""
    return [each if each.excerpt else replace(each, excerpt=spec.origins.excerpt(each.origin)) for each in found]


def _check(files: SpecFiles, host: str | None) -> Checked:
    if files.root is None:
        return Checked(None, files.problems)
    root = root_for(files.root, host)
    places = FilePlaces(root, files.files)
    found = [*files.problems, *twin_keys(root)]
    readable, is_complete = None, not found
    try:
        spec: Spec | None = Spec.model_validate(root)
        readable = spec
    except ValidationError as error:
        spec = None
        shaped = dict.fromkeys(shape_problems(error, places))
        try:
            readable = Spec.model_validate(root, context=FORGIVING)
        except ValidationError as worse:
            is_complete = False
            beyond_secrets = dict.fromkeys(shape_problems(worse, places))
            shaped |= beyond_secrets
            readable = _type_what_is_left(root, [path for path, _ in beyond_secrets])
        # What YAML could not say is left out of the mapping: what the model says about the same place is no news.
        seen = {problem.origin for problem in files.problems}
        found += [problem for path, problem in shaped if seen.isdisjoint(places.find_both(path))]
    if readable is not None:
        readable.with_origins(places, FleetMember(host, host_names(files.root)))
        found += check_rules(readable, is_complete)
    return Checked(spec, found)


def _type_what_is_left(root: MappingNode, bad: Iterable[SpecPath]) -> Spec | None:
    """The spec without the values that could not be read, so that rules about the rest are heard in the same run.

    Secrets that could not be read stay in it as UNREAD.
    """
    left = root
    paths = set(bad)
    for _ in range(MOST_TRIES):
        if () in paths or len(paths) > MOST_PROBLEMS:
            return None
        for path in paths:
            left = _without(left, path)
        try:
            return Spec.model_validate(left, context=FORGIVING)
        except ValidationError as error:
            # Leaving a needed value out makes its mapping fail; the next try leaves out the mapping.
            paths = {
                tuple(each["loc"][:-1]) if each["type"] == "missing" else tuple(each["loc"])
                for each in error.errors(include_url=False, include_input=False)
            }
    return None


def _without(node: MappingNode, path: SpecPath) -> MappingNode:
    """`node` without the value at `path`; a list goes as a whole, because its positions are paths too."""
    key, *below = path
    inner = node.get(str(key))
    if key not in node:
        return node
    left = node.copy()
    if below and isinstance(inner, MappingNode) and below[0] in inner:
        left[str(key)] = _without(inner, tuple(below))
    else:
        del left[str(key)]
    return left


def _presentable(found: Iterable[Problem], files: SpecFiles, path: Path) -> list[Problem]:
    """Without repetitions, in the order of the lines, the spec itself first; with excerpts, and not endlessly many."""
    ordered = sorted(dict.fromkeys(found), key=lambda each: (each.origin.file != str(path), each.origin))
    shown = excerpts([_shortened(each) for each in ordered[:MOST_PROBLEMS]], files.files)
    if rest := len(ordered) - len(shown):
        shown.append(Problem(Origin(str(path)), "", f"at least {rest} more problems are not shown"))
    return shown


def _shortened(problem: Problem) -> Problem:
    path = problem.path if len(problem.path) <= LONGEST_PATH else f"{problem.path[:LONGEST_PATH]}..."
    return replace(problem, path=path, message=shortened(problem.message), hint=shortened(problem.hint))


def _count(found: list[Problem]) -> str:
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    return "1 problem" if errors == 1 else f"{errors} problems"


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Loading makes a million objects and no cycles; looking for cycles among them would take half the time.

    What was loaded stays for the whole run, so later collections need not look at it either.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()
