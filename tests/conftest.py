"""Fixtures every test may use: golden trees, and tools that may be missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailctl.host import CLEAN_ENVIRONMENT
from mailctl.tree import RenderedDirectory, RenderedFile, Tree

# Suites that boot several hosts: one after the other, or two of them take the machine from all other tests.
SEVERAL_HOSTS = tuple(f"tests/hosts/test_{name}.py" for name in ("playbook", "mail_flow", "harness"))
TOOLS_ARE_REQUIRED = os.environ.get("MAILCTL_REQUIRE_TOOLS") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected trees; review the diff")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of one file run in one process, and so do those of SEVERAL_HOSTS together."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return "several hosts" if file in SEVERAL_HOSTS else file

    return ByFile(config, log)


def skip_or_fail(reason: str) -> None:
    """A missing tool skips the test with its name, or fails it where everything must run (CI)."""
    if TOOLS_ARE_REQUIRED:
        pytest.fail(f"{reason} (MAILCTL_REQUIRE_TOOLS=1)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require_tools() -> Callable[..., None]:
    """Call with program names; skips or fails the test when one is missing."""

    def require(*names: str) -> None:
        missing = [name for name in names if shutil.which(name, path=CLEAN_ENVIRONMENT["PATH"]) is None]
        if missing:
            skip_or_fail(f"not installed: {', '.join(missing)}")

    return require


@pytest.fixture(scope="session")
def require_root() -> None:
    if os.geteuid() != 0:
        skip_or_fail("needs root for private namespaces")


@dataclass(frozen=True)
class Golden:
    """Compares rendered files with a folder of expected ones, mode and owner included."""

    update: bool

    def compare(self, items: Iterable[RenderedFile | RenderedDirectory], expected: Path) -> None:
        found = {str(file.path).lstrip("/"): _describe(file) for file in Tree.of(items)}
        if self.update:
            shutil.rmtree(expected, ignore_errors=True)
            for name, text in found.items():
                (expected / name).parent.mkdir(parents=True, exist_ok=True)
                (expected / name).write_text(text)
        wanted = {
            str(path.relative_to(expected)): path.read_text() for path in sorted(expected.rglob("*")) if path.is_file()
        }
        assert wanted, f"no expected tree in {expected}; run pytest --update-golden and review it"
        assert found == wanted


def _describe(file: RenderedFile) -> str:
    # The first line carries what a plain copy of the file would lose.
    return f"## {file.mode:04o} {file.owner}:{file.group}\n{file.content.decode()}"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(request.config.getoption("--update-golden"))
