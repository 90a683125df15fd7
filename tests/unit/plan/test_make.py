"""What a plan takes into account, and what it needs to do so."""

from __future__ import annotations

import time
from pathlib import PurePosixPath

import pytest

from mailctl.errors import MailctlError, NeedsRootError
from mailctl.plan.diff import diff_files, diff_lines
from mailctl.plan.model import Action
from mailctl.plan.text import render_summary, render_text
from mailctl.tree import RenderedFile, Tree
from tests.unit.apply import service
from tests.unit.apply.conftest import HASH, OTHER_SPEC, SPEC, Server, spec_with

STATE = "/var/lib/mailctl"


def test_planning_changes_nothing(server: Server) -> None:
    nodes = dict(server.host.nodes)
    server.plan(SPEC)
    assert server.host.nodes == nodes
    assert server.host.effects == 0


@pytest.mark.parametrize("spec", [SPEC, OTHER_SPEC], ids=["one", "other"])
def test_the_plan_of_an_applied_spec_is_empty(server: Server, spec: object) -> None:
    server.apply(spec)  # type: ignore[arg-type]
    plan = server.plan(spec)  # type: ignore[arg-type]
    assert plan.is_empty
    assert plan.effects == ()
    assert plan.pending_services == ()


def test_another_mode_or_owner_is_a_change(server: Server) -> None:
    server.apply(SPEC)
    server.host.set_permissions(service.USERS, 0o644, "root", "dovecot")
    server.host.set_permissions(PurePosixPath("/var/vmail"), 0o700, "root", "root")
    plan = server.plan(SPEC)
    assert [change.path for change in plan.changes] == [service.USERS]
    text = render_text(plan)
    assert "~ /etc/dovecot/mailctl.users  0644 root:dovecot → 0640 root:dovecot" in text
    assert "~ directory /var/vmail  0700 root:root → 0700 vmail:vmail" in text
    assert render_summary(plan) == "Plan: files: 0 to add, 2 to change, 0 to remove."


def test_a_missing_program_is_a_note_not_a_failure(server: Server) -> None:
    server.host.missing_programs.add("postfix")
    assert "note: postfix: not installed; skipped:" in render_text(server.plan(SPEC))


def test_an_ordinary_user_is_told_what_is_not_compared(server: Server) -> None:
    server.apply(SPEC)
    current = [path for path in server.host.files(STATE) if path.endswith("current")]
    server.host.root_only = {service.USERS, PurePosixPath(STATE, "history"), *map(PurePosixPath, current)}
    server.host.is_ordinary_user = True
    plan = server.plan(OTHER_SPEC)
    assert plan.effects == ()
    assert service.USERS not in [change.path for change in plan.changes]
    assert service.MAIN_CF in [change.path for change in plan.changes]
    text = render_text(plan)
    assert f"note: {service.USERS}: cannot be read without root; it is not compared" in text
    assert "the effects are not shown" in text
    assert text.endswith("Postfix: reload.")


def test_an_ordinary_user_applies_nothing(server: Server) -> None:
    server.host.is_ordinary_user = True
    with pytest.raises(NeedsRootError, match="needs root"):
        server.apply(SPEC)
    assert server.host.effects == 0


def test_a_file_changed_by_hand_is_pointed_out(server: Server) -> None:
    server.apply(SPEC)
    server.host.put("/etc/postfix/main.cf", "relayhost = mine\n")
    plan = server.plan(SPEC)
    assert plan.drift == (service.MAIN_CF,)
    assert "note: /etc/postfix/main.cf: changed by hand since generation 1" in render_text(plan)


def test_what_the_spec_now_says_by_itself_is_no_drift(server: Server) -> None:
    server.apply(SPEC)
    applied = server.etc()
    server.apply(OTHER_SPEC)
    main = applied[str(service.MAIN_CF)][0]
    assert main is not None
    server.host.put("/etc/postfix/main.cf", main.decode())
    assert server.plan(SPEC).drift == ()


def test_an_address_that_turns_from_mailbox_to_alias_does_not_count_as_lost(server: Server) -> None:
    server.apply(SPEC)
    plan = server.plan(spec_with(mailboxes={"ali": {"password": {"hash": HASH}}}, aliases={"bob": ["ali"]}))
    assert (plan.addresses.before, plan.addresses.removed) == (5, 1)  # ali, bob, info, postmaster, abuse
    assert {(effect.action, effect.kind) for effect in plan.effects if effect.name == "bob@example.org"} == {
        (Action.REMOVE, "mailbox"),
        (Action.ADD, "alias"),
    }


@pytest.mark.parametrize("name", ["meta.json", "manifest.json", "inventory.json"])
def test_damaged_state_is_a_sentence(server: Server, name: str) -> None:
    server.apply(SPEC)
    server.host.put(f"{STATE}/history/1/{name}", '{"kinds": 3}')
    if name != "meta.json":
        with pytest.raises(MailctlError, match=f"{name} is damaged"):
            server.plan(OTHER_SPEC)
    else:
        assert not server.plan(OTHER_SPEC).is_empty


def table(rows: list[str]) -> Tree:
    content = "".join(f"{row}\n" for row in rows).encode()
    return Tree.of([RenderedFile(PurePosixPath(STATE, "generations/1/virtual_alias"), content, is_table=True)])


def test_a_table_of_100_000_rows_is_compared_quickly() -> None:
    def seconds(size: int) -> float:
        rows = [f"user{number}@example.org  ali@example.org" for number in range(size)]
        changed = [*rows[:500], "user500@example.org  bob@example.org", *rows[501 : size - 5], *rows[size - 4 :]]
        start = time.process_time()
        (change,) = diff_files(table(rows), table(changed))
        lines = diff_lines(change)
        taken = time.process_time() - start
        assert lines == [
            "-user500@example.org  ali@example.org",
            "+user500@example.org  bob@example.org",
            f"-user{size - 5}@example.org  ali@example.org",
        ]
        return taken

    small, large = (min(seconds(size) for _ in range(3)) for size in (10_000, 100_000))
    assert large < 30 * small
    assert large < 3


def test_rows_in_another_order_are_a_change_with_something_to_show() -> None:
    (change,) = diff_files(table(["/^a/ x", "/^b/ y"]), table(["/^b/ y", "/^a/ x"]))
    assert diff_lines(change) == ["@@ the order of the rows, or comments @@"]


def test_a_change_at_the_end_of_a_long_file_keeps_its_line_numbers() -> None:
    before = RenderedFile(service.MAIN_CF, "".join(f"line {n}\n" for n in range(1, 5001)).encode())
    after = RenderedFile(service.MAIN_CF, before.content.replace(b"line 4990\n", b"other\n"))
    (change,) = diff_files(Tree.of([before]), Tree.of([after]))
    assert diff_lines(change) == [
        "@@ -4989,3 +4989,3 @@",
        " line 4989",
        "-line 4990",
        "+other",
        " line 4991",
    ]
