"""What mailctl imports comes with it: `pip install .` gives every verb."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

TOP = Path(__file__).parents[2]
OF_PYDANTIC = {"pydantic_core"}  # it asks for one exact version of it


def imported() -> Iterator[str]:
    """The top-level modules that mailctl imports, anywhere in a function too."""
    for path in (TOP / "mailctl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", each)[0].lower() for each in requirements}


def test_every_module_belongs_to_a_dependency() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    packages = packages_distributions()
    foreign = set(imported()) - sys.stdlib_module_names - {"mailctl"} - OF_PYDANTIC
    needed = {packages[module][0].lower() for module in foreign}
    assert needed - names(project["dependencies"]) == set()
