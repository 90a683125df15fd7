"""What build and check find in files that Postfix's own programs would let pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mailctl.components import postfix
from mailctl.components.base import Staged
from mailctl.components.postfix.build import SUFFIXES
from mailctl.spec.model import PostfixSettings, Spec
from mailctl.target import TableType

if TYPE_CHECKING:
    from tests.components.postfix.conftest import ScratchPostfix, SpecOf


def with_settings(spec: Spec, main: dict[str, str] | None = None, master: dict[str, str] | None = None) -> Spec:
    return spec.model_copy(update={"postfix": PostfixSettings(main=main or {}, master=master or {})})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("no_such_parameter", "1", "knows no parameter"),
        ("smtpd_hard_error_limit", "twenty", "a number"),
        ("smtpd_peername_lookup", "maybe", "yes or no"),
        ("smtpd_timeout", "5 minutes", "a time"),
        ("smtpd_starttls_timeout", "soon", "a time"),
    ],
)
def test_a_bad_setting_of_the_escape_hatch_is_found(
    name: str, value: str, words: str, spec_of: SpecOf, scratch: ScratchPostfix
) -> None:
    (problem, *others) = scratch.problems(with_settings(spec_of("minimal"), {name: value}))
    found = [problem, *others]
    assert any(words in each.message and each.path == f"postfix.main.{name}" for each in found), found


@pytest.mark.parametrize("value", ["20", "${stress?{1}:{20}}"])
def test_a_good_setting_passes(value: str, spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    assert scratch.problems(with_settings(spec_of("minimal"), {"smtpd_hard_error_limit": value})) == []


def test_an_unknown_daemon_is_found(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    problems = scratch.problems(with_settings(spec_of("minimal"), master={"x/unix": "- - n - - no-such-daemon"}))
    assert [problem.path for problem in problems] == ["postfix.master.x/unix"]


def test_a_bad_field_of_a_service_is_found(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    problems = scratch.problems(with_settings(spec_of("minimal"), master={"x/unix": "maybe - n - - smtp"}))
    assert any("maybe" in problem.message for problem in problems)


def test_a_truncated_main_cf_is_found(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    spec = spec_of("minimal")
    tree = scratch.write(spec)
    main_cf = scratch.host.path(scratch.stage / "etc/postfix/main.cf")
    main_cf.write_text(main_cf.read_text() + "half a li\n")
    scratch.host.set_mtime(scratch.stage / "etc/postfix/main.cf", 0)
    problems = postfix.check(scratch.host, spec, scratch.target, Staged(scratch.stage, tree))
    assert any("main.cf" in problem.message for problem in problems)


def test_a_row_postmap_drops_is_found(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    spec = spec_of("full")
    tree = scratch.write(spec)
    source = next(scratch.host.path(file.path) for file in tree if file.name == "virtual_mailbox")
    source.write_text(source.read_text().replace("bob@example.org OK", "bob@example.org"))
    problems = postfix.build(scratch.host, spec, scratch.target, tree)
    assert problems
    assert all(problem.path == "virtual_mailbox" for problem in problems)


@pytest.mark.parametrize("table_type", list(TableType))
def test_a_stale_index_is_rebuilt_and_a_good_one_left_alone(
    table_type: TableType, spec_of: SpecOf, scratch: ScratchPostfix
) -> None:
    scratch.target = replace(scratch.target, table_type=table_type)
    spec = spec_of("full")
    tree = scratch.write(spec)
    assert postfix.build(scratch.host, spec, scratch.target, tree) == []
    source = next(scratch.host.path(file.path) for file in tree if file.name == "virtual_alias")
    index = source.with_name(source.name + SUFFIXES[table_type])
    before = index.stat().st_mtime_ns
    assert postfix.build(scratch.host, spec, scratch.target, tree) == []
    assert index.stat().st_mtime_ns == before
    index.write_bytes(source.with_name("virtual_mailbox" + SUFFIXES[table_type]).read_bytes())
    assert postfix.build(scratch.host, spec, scratch.target, tree) == []
    assert scratch.look_up(tree, "virtual_alias", "info@example.org") == {"info@example.org": "ali@example.org"}


def test_a_private_table_stays_private_when_built(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    spec = spec_of("relays")
    tree = scratch.write(spec)
    assert postfix.build(scratch.host, spec, scratch.target, tree) == []
    source = next(file for file in tree if file.name == "relay_passwords")
    assert source.is_secret
    built = scratch.host.path(source.path.with_name("relay_passwords.cdb"))
    assert built.stat().st_mode & 0o777 == 0o600


def test_missing_sasl_plugins_are_found(
    spec_of: SpecOf, scratch: ScratchPostfix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch.host, "list_directory", lambda path: [])
    (problem,) = scratch.problems(spec_of("relays"))
    assert "libsasl2-modules" in problem.hint
