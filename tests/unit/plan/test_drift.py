"""Hand edits are shown one by one, with the spec lines that would keep them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from mailctl.apply.run import Order, apply_plan
from mailctl.host import LocalHost
from mailctl.plan.drift import adoption
from mailctl.plan.make import make_plan
from mailctl.plan.model import Plan
from mailctl.plan.text import render_text
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from tests.unit.apply.conftest import BASE

ORDER = Order("ali", lambda message: None, b"")


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    """A folder on which the base spec was applied."""
    host, spec = LocalHost(tmp_path), Spec.model_validate(BASE)
    apply_plan(host, DEBIAN_12, spec, make_plan(spec, DEBIAN_12, host), ORDER)
    return host


def edit(host: LocalHost, name: str, before: str, after: str) -> Plan:
    path = host.root / "etc" / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return make_plan(Spec.model_validate(BASE), DEBIAN_12, host)


def lines(plan: Plan, **settings: str) -> str:
    return "\n".join(adoption(plan.drift_details, settings))


def test_each_parameter_is_named_and_comments_are_not(host: LocalHost) -> None:
    plan = edit(host, "postfix/main.cf", "biff = no", "# why\nbiff = yes\nsmtpd_timeout = 200s")
    assert {(each.name, each.ours, each.theirs) for each in plan.drift_details} == {
        ("biff", "no", "yes"),
        ("smtpd_timeout", None, "200s"),
    }
    assert "changed by hand since generation 1: biff = yes (mailctl wrote no)" in render_text(plan)


def test_what_the_spec_can_hold_is_adopted_and_then_it_is_no_drift(host: LocalHost) -> None:
    plan = edit(host, "postfix/main.cf", "biff = no", "biff = no\nsmtpd_timeout = 200s")
    assert lines(plan) == "postfix:\n  main:\n    smtpd_timeout: '200s'"
    data: dict[str, Any] = copy.deepcopy(BASE) | {"postfix": {"main": {"smtpd_timeout": "200s"}}}
    again = make_plan(Spec.model_validate(data), DEBIAN_12, host)
    assert not [change for change in again.changes if b"smtpd_timeout = 200s" not in change.file.content]


def test_what_another_key_decides_is_said(host: LocalHost) -> None:
    plan = edit(host, "postfix/main.cf", "biff = no", "biff = yes\nrelayhost = [x.example]:587")
    assert "# relayhost: set routes instead" in lines(plan)
    assert "# no line of the spec keeps this in /etc/postfix/main.cf: biff = yes (mailctl wrote no)" in lines(plan)
    assert "postfix:" not in lines(plan)


def test_a_service_of_ones_own_is_adopted(host: LocalHost) -> None:
    plan = edit(host, "postfix/master.cf", "smtp ", "mine unix - - n - 1 pipe\nsmtp ")
    assert "  master:\n    mine/unix: '- - n - 1 pipe'" in lines(plan)


def test_a_row_of_a_table_is_named(host: LocalHost) -> None:
    table = next((host.root / "var/lib/mailctl/generations").glob("*/virtual_alias"))
    plan = edit(host, f"../{table.relative_to(host.root)}", "info@example.org", "info2@example.org")
    assert {each.name for each in plan.drift_details} == {"info@example.org", "info2@example.org"}


def test_a_secret_is_not_shown(host: LocalHost) -> None:
    plan = edit(host, "dovecot/mailctl.users", "ali@", "eve@")
    assert [each.text for each in plan.drift_details] == ["its content was changed"]
    assert "eve@" not in lines(plan)


def test_a_broken_line_is_shown(host: LocalHost) -> None:
    plan = edit(host, "postfix/master.cf", "smtp ", "broken\nsmtp ")
    assert "broken/" in lines(plan)
