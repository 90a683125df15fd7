"""Every rendered file of OpenDKIM, against its golden tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailctl.components import opendkim
from mailctl.components.base import ReloadKind
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

if TYPE_CHECKING:
    from tests.conftest import Golden

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(GOLDEN.glob("*/spec.yml"))


def tree_of(case: str) -> Tree:
    return Tree.of(opendkim.render(load_spec(GOLDEN / case / "spec.yml"), DEBIAN_12))


@pytest.mark.parametrize("spec_file", CASES, ids=lambda path: path.parent.name)
def test_rendered_files_match_golden(spec_file: Path, golden: Golden) -> None:
    golden.compare(opendkim.render(load_spec(spec_file), DEBIAN_12), spec_file.parent / "expected")


def test_only_postfix_reaches_the_socket() -> None:
    folder = next(each for each in tree_of("several").directories if each.path == DEBIAN_12.opendkim_socket.parent)
    assert (folder.mode, folder.owner, folder.group) == (0o2750, "opendkim", "postfix")


def test_a_backup_mx_and_a_server_without_dkim_run_no_signer(tmp_path: Path) -> None:
    spec_file = tmp_path / "mail.yml"
    head = "version: 1\nserver: {hostname: mx2.example.org, role: backup-mx}\ntls: {self_signed: true}\n"
    spec_file.write_text(f"{head}domains: {{example.org: {{dkim: {{selector: a}}}}}}\n")
    assert not opendkim.enabled(load_spec(spec_file))
    spec_file.write_text(f"{head}domains: {{example.org: {{}}}}\n".replace("backup-mx", "full"))
    assert not opendkim.enabled(load_spec(spec_file))


def test_a_further_domain_is_a_reload() -> None:
    found = opendkim.action(tree_of("one-domain"), tree_of("several"))
    assert found.kind is ReloadKind.RELOAD
    assert "SigningTable" in found.reason


def test_the_first_apply_is_a_restart() -> None:
    """Whatever OpenDKIM served before, it was on another socket."""
    assert opendkim.action(Tree({}), tree_of("one-domain")).kind is ReloadKind.RESTART


def test_another_socket_is_a_restart() -> None:
    before = tree_of("one-domain")
    conf = before.files[DEBIAN_12.opendkim_conf]
    moved = replace(conf, content=conf.content.replace(b"opendkim.sock", b"other.sock"))
    found = opendkim.action(before, Tree.of([*(file for file in before if file is not conf), moved]))
    assert (found.kind, found.reason) == (ReloadKind.RESTART, "Socket changed")


def test_nothing_changed_nothing_to_do() -> None:
    tree = tree_of("several")
    assert opendkim.action(tree, tree).kind is ReloadKind.NOTHING
