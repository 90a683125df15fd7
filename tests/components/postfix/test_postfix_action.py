"""What a change asks of the running Postfix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from mailctl.components import postfix
from mailctl.components.base import ReloadKind
from mailctl.components.postfix.cf import main_parameters, master_services
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

if TYPE_CHECKING:
    from tests.components.postfix.conftest import SpecOf

MAIN_CF = DEBIAN_12.postfix_dir / "main.cf"
MASTER_CF = DEBIAN_12.postfix_dir / "master.cf"


def changed(tree: Tree, path: PurePosixPath, old: str, new: str) -> Tree:
    text = tree.files[path].content.decode()
    assert old in text
    file = replace(tree.files[path], content=text.replace(old, new).encode())
    return Tree(dict(tree.files) | {path: file})


@pytest.fixture
def tree(spec_of: SpecOf) -> Tree:
    return Tree.of(postfix.render(spec_of("full"), DEBIAN_12))


def test_the_first_apply_restarts(tree: Tree) -> None:
    assert postfix.action(Tree({}), tree).kind is ReloadKind.RESTART


def test_nothing_changed_nothing_to_do(tree: Tree) -> None:
    assert postfix.action(tree, tree).kind is ReloadKind.NOTHING


def test_another_mailbox_reloads(tree: Tree, spec_of: SpecOf) -> None:
    after = Tree.of(postfix.render(spec_of("minimal"), DEBIAN_12))
    assert postfix.action(tree, after).kind is ReloadKind.RELOAD


@pytest.mark.parametrize("name", ["inet_interfaces", "inet_protocols"])
def test_what_the_master_reads_once_restarts(name: str, tree: Tree) -> None:
    found = postfix.action(tree, changed(tree, MAIN_CF, f"{name} = ", f"{name} = other"))
    assert found.kind is ReloadKind.RESTART
    assert name in found.reason


def test_a_removed_service_is_named(spec_of: SpecOf, tree: Tree) -> None:
    after = Tree.of(postfix.render(spec_of("backup-mx"), DEBIAN_12))
    found = postfix.action(tree, after)
    assert found.kind is ReloadKind.RELOAD
    assert "submission/inet" in found.reason


def test_a_service_that_turns_private_is_named(tree: Tree) -> None:
    after = changed(tree, MASTER_CF, "flush       unix    n ", "flush       unix    - ")
    assert "flush/unix" in postfix.action(tree, after).reason


def test_main_cf_is_read_as_postfix_reads_it() -> None:
    text = "# comment\na = 1\n  2\n# between\n\n\t3\nb=\na = 4\nc = x=y\n"
    assert main_parameters(text) == {"a": "4", "b": "", "c": "x=y"}
    assert main_parameters("a = 1\n  2\n# between\n\n\t3\n") == {"a": "1 2 3"}


def test_master_cf_is_read_as_postfix_reads_it() -> None:
    text = "smtp inet n - n - - smtpd\n    -o a=b\nx unix - - n - - smtp\n"
    assert master_services(text) == {"smtp/inet": "n - n - - smtpd -o a=b", "x/unix": "- - n - - smtp"}
