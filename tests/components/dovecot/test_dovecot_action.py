"""What a change asks of the running Dovecot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailctl.components import dovecot
from mailctl.components.base import ReloadKind
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

TreeOf = Callable[[str], Tree]
CONF = DEBIAN_12.dovecot_dir / "dovecot.conf"
USERS = DEBIAN_12.dovecot_dir / "mailctl.users"


def changed(tree: Tree, path: object) -> Tree:
    return Tree.of(replace(file, content=file.content + b"#\n") if file.path == path else file for file in tree)


def test_a_login_changes_without_a_reload(tree_of: TreeOf) -> None:
    tree = tree_of("minimal")
    found = dovecot.action(tree, changed(tree, USERS))
    assert found.kind is ReloadKind.NOTHING
    assert "logins" in found.reason


def test_a_setting_needs_a_reload(tree_of: TreeOf) -> None:
    tree = tree_of("minimal")
    assert dovecot.action(tree, changed(tree, CONF)).kind is ReloadKind.RELOAD


def test_the_first_apply_makes_dovecot_read_its_new_configuration(tree_of: TreeOf) -> None:
    assert dovecot.action(Tree({}), tree_of("minimal")).kind is ReloadKind.RELOAD


def test_nothing_changed_nothing_to_do(tree_of: TreeOf) -> None:
    tree = tree_of("full")
    assert dovecot.action(tree, tree) == dovecot.Action(dovecot.NAME, ReloadKind.NOTHING)
