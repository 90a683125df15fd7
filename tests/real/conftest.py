"""A lab per test run: the example server with real Postfix, Dovecot and OpenDKIM, in namespaces of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_kit import PROGRAMS, Lab, write_example

from mailctl.host import LocalHost
from mailctl.lab import lifecycle
from mailctl.spec.load import load_spec

StartLab = Callable[[Path], Lab]


@pytest.fixture(scope="session")
def start_lab(require_root: None, require_tools: Callable[..., None]) -> Iterator[StartLab]:
    """Call with a spec file: a lab that serves it, ended with the test run; the same file is served once."""
    require_tools(*PROGRAMS)
    host = LocalHost()
    labs: dict[Path, Lab] = {}

    def start(spec_file: Path) -> Lab:
        if spec_file not in labs:
            name = f"test-{os.getpid()}-{len(labs) + 1}"
            spec = load_spec(spec_file)
            sandbox = lifecycle.start_lab(host, name, spec, spec_file, dies_with_us=True)
            labs[spec_file] = Lab(name, spec_file, sandbox)
            lifecycle.serve(sandbox, spec, spec_file)
        return labs[spec_file]

    yield start
    for each in labs.values():
        lifecycle.bring_down(host, each.name)
        each.sandbox.stop()  # waits for its own child too


@pytest.fixture(scope="session")
def example_file(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> Path:
    """examples/mail.yml with secrets; every password is `pw-` and the localpart."""
    require_tools("doveadm")
    return write_example(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def lab(start_lab: StartLab, example_file: Path) -> Lab:
    """The example server, shared by all tests of the run: leave its spec as it is."""
    return start_lab(example_file)
