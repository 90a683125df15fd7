"""Runs inside a sandbox: puts the files of one spec in place and has each service made, checked, started, verified.

No plan, no generations: only what the components do themselves. Arguments: the spec file, then component names.
"""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

from mailctl.components.base import Staged
from mailctl.components.registry import COMPONENTS
from mailctl.errors import Problem, Severity
from mailctl.host import LocalHost, create_whole
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

STAGED = PurePosixPath("/run/staged")


def install(spec_file: Path, names: list[str]) -> list[Problem]:
    """Problems of the checks, else of the live services."""
    host, target, spec = LocalHost(), DEBIAN_12, load_spec(spec_file)
    components = [each for each in COMPONENTS if each.NAME in names and each.enabled(spec)]
    tree = Tree.of(item for each in components for item in each.render(spec, target))
    before = Tree.of(file for file in tree if host.read(file.path) == file.content)
    staged = Staged(STAGED, tree)
    host.remove_tree(STAGED)
    for folder in tree.directories:
        host.make_directory(folder.path, folder.mode, folder.owner, folder.group)
    for file in tree:
        host.make_directory(staged.path(file.path).parent)
        host.create(staged.path(file.path), file.content, file.mode, file.owner, file.group)
    problems = [problem for each in components for problem in each.build(host, spec, target, tree)]
    problems += [problem for each in components for problem in each.check(host, spec, target, staged)]
    if any(problem.severity is Severity.ERROR for problem in problems):
        return problems
    for file in tree:
        create_whole(host, file.path, file.content, file.mode, file.owner, file.group)
    for each in components:
        each.perform(host, target, each.action(before, tree))
    return [problem for each in components for problem in each.verify(host, tree, target)]


if __name__ == "__main__":
    found = install(Path(sys.argv[1]), sys.argv[2:])
    sys.stdout.write("".join(f"{problem}\n" for problem in found))
