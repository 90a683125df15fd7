"""Golden specs, and rendered trees written to a scratch machine that the real tools can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from mailctl.components import postfix
from mailctl.components.base import Staged
from mailctl.errors import Problem
from mailctl.host import LocalHost
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12, Target
from mailctl.tree import Tree

GOLDEN = Path(__file__).parent / "golden"
TEN_SECONDS = 10 * 10**9

SpecOf = Callable[[str], Spec]


@pytest.fixture(scope="session")
def spec_of() -> SpecOf:
    """Call with the name of a golden case."""
    return lambda case: load_spec(GOLDEN / case / "spec.yml")


class ScratchPostfix:
    """Files of a spec below a scratch folder, built and checked by the real programs, never started."""

    def __init__(self, folder: Path, target: Target = DEBIAN_12) -> None:
        self.host = LocalHost()
        self.target = replace(target, state_dir=PurePosixPath(folder / "state"))
        self.stage = PurePosixPath(folder / "stage")

    def write(self, spec: Spec) -> Tree:
        tree = Tree.of(postfix.render(spec, self.target))
        for file in tree:
            path = file.path if file.is_table else self.stage / file.path.relative_to("/")
            real = self.host.path(path)
            real.parent.mkdir(parents=True, exist_ok=True)
            real.write_bytes(file.content)
            real.chmod(file.mode)
            # Postfix waits while main.cf is younger than a second or two.
            self.host.set_mtime(path, real.stat().st_mtime_ns - TEN_SECONDS)
        return tree

    def problems(self, spec: Spec) -> list[Problem]:
        """Everything build and check find."""
        tree = self.write(spec)
        staged = Staged(self.stage, tree)
        found = postfix.build(self.host, spec, self.target, tree)
        return [*found, *postfix.check(self.host, spec, self.target, staged)]

    def postconf(self, *arguments: str) -> str:
        folder = self.stage / self.target.postfix_dir.relative_to("/")
        done = self.host.run(["postconf", "-c", folder, *arguments])
        assert done.stderr == b""
        return done.stdout.decode()

    def look_up(self, tree: Tree, table: str, *keys: str) -> dict[str, str]:
        """What `postmap -q` finds in a table of `tree`."""
        path = next(file.path for file in tree if file.is_table and file.name == table)
        kind = "pcre" if table.endswith("_pcre") else self.target.table_type
        done = self.host.run(
            ["postmap", "-q", "-", f"{kind}:{path}"], stdin="".join(f"{key}\n" for key in keys).encode()
        )
        assert done.stderr == b""
        return dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())


@pytest.fixture(scope="session")
def scratch_in(require_tools: Callable[..., None]) -> Callable[[Path], ScratchPostfix]:
    """Call with an empty folder."""
    require_tools("postconf", "postmap", "postalias")
    return ScratchPostfix


@pytest.fixture
def scratch(tmp_path: Path, scratch_in: Callable[[Path], ScratchPostfix]) -> ScratchPostfix:
    return scratch_in(tmp_path)
