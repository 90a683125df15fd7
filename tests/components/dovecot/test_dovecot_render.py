"""Every rendered file of Dovecot, against its golden tree and against Dovecot itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailctl.components import dovecot
from mailctl.components.dovecot.view import conf_file
from mailctl.host import LocalHost
from mailctl.spec.load import load_spec
from mailctl.spec.model import PostfixSettings
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

if TYPE_CHECKING:
    from tests.conftest import Golden

TreeOf = Callable[[str], Tree]
CASES = sorted(Path(__file__).parent.glob("golden/*/spec.yml"))


def text_of(tree: Tree, name: str) -> str:
    return tree.files[DEBIAN_12.dovecot_dir / name].content.decode()


@pytest.mark.parametrize("spec_file", CASES, ids=lambda path: path.parent.name)
def test_rendered_files_match_golden(spec_file: Path, golden: Golden) -> None:
    golden.compare(dovecot.render(load_spec(spec_file), DEBIAN_12), spec_file.parent / "expected")


@pytest.mark.parametrize("spec_file", CASES, ids=lambda path: path.parent.name)
def test_dovecot_reads_its_configuration_without_a_word(
    spec_file: Path, tree_of: TreeOf, require_tools: Callable[..., None], tmp_path: Path
) -> None:
    require_tools("doveconf")
    conf = tmp_path / "dovecot.conf"
    conf.write_text(text_of(tree_of(spec_file.parent.name), "dovecot.conf"))
    done = LocalHost().run(["doveconf", "-n", "-c", conf])
    assert (done.returncode, done.stderr) == (0, b"")


def test_every_file_with_a_password_hash_is_secret_and_closed(tree_of: TreeOf) -> None:
    for case in ("minimal", "full", "send-only"):
        for file in tree_of(case):
            holds_hash = b"{SHA512-CRYPT}" in file.content
            assert file.is_secret is holds_hash
            assert not holds_hash or (file.mode, file.owner, file.group) == (0o640, "root", "dovecot")


def test_who_may_only_send_is_in_no_file_of_imap_and_lmtp(tree_of: TreeOf) -> None:
    tree = tree_of("full")
    assert "app@example.org" not in text_of(tree, "mailctl.users")
    assert text_of(tree, "mailctl.smtp-users").startswith("app@example.org:")


def test_a_server_that_only_sends_opens_no_port_and_no_mailbox(tree_of: TreeOf) -> None:
    tree = tree_of("send-only")
    conf = text_of(tree, "dovecot.conf")
    assert "protocols = none" in conf
    assert "userdb" not in conf
    assert not any("vmail" in str(directory.path) for directory in tree.directories)


def test_warnings_start_at_the_highest_percentage(tree_of: TreeOf) -> None:
    """Dovecot runs the first warning whose threshold was crossed, and no other."""
    lines = [line.split() for line in text_of(tree_of("full"), "dovecot.conf").splitlines() if "quota_warning" in line]
    assert [(line[0], line[4]) for line in lines] == [
        ("quota_warning", "95"),
        ("quota_warning2", "80"),
        ("quota_warning3", "50"),
    ]


def test_no_dovecot_where_nobody_logs_in(tmp_path: Path) -> None:
    spec_file = tmp_path / "mail.yml"
    spec_file.write_text("version: 1\nserver: {hostname: mx1.example.org}\ntls: {self_signed: true}\n")
    assert not dovecot.enabled(load_spec(spec_file))


@pytest.mark.parametrize(("limit", "processes"), [(None, 300), ("200", 600), ("${x?{1}:{2}}", 300)])
def test_every_smtpd_can_ask_for_quotas_at_once(limit: str | None, processes: int) -> None:
    spec = load_spec(Path(__file__).parent / "golden/full/spec.yml")
    main = {"default_process_limit": limit} if limit else {}
    spec = spec.model_copy(update={"postfix": PostfixSettings(main=main)})
    conf = Tree.of(dovecot.render(spec, DEBIAN_12)).files[conf_file(DEBIAN_12)].content.decode()
    assert f"process_limit = {processes}\n" in conf
