"""What a user sees of apply and rollback."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from mailctl.apply.generation import KEPT_GENERATIONS
from mailctl.apply.run import apply_plan, choose_generation
from mailctl.errors import BusyError, MailctlError, Origin, Problem, RollbackError, UnfitError, UsageError
from mailctl.host import Completed
from mailctl.plan.stored import read_current, read_numbers
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from tests.unit.apply import service
from tests.unit.apply.conftest import HASH, OTHER_SPEC, SPEC, Server, spec_with

STATE = "/var/lib/mailctl"


def fails(program: str, message: str, server: Server) -> None:
    server.host.programs[program] = lambda argv, stdin: Completed(argv, 1, b"", message.encode())


def many_mailboxes(count: int) -> Spec:
    return spec_with(mailboxes={f"user{number}": {"password": {"hash": HASH}} for number in range(count)}, aliases={})


def test_files_get_their_modes_and_owners(server: Server) -> None:
    assert server.apply(SPEC) == 1
    users = server.host.nodes[service.USERS]
    assert (users.mode, users.owner, users.group) == (0o640, "root", "dovecot")
    vmail = server.host.nodes[PurePosixPath("/var/vmail")]
    assert (vmail.mode, vmail.owner, vmail.group) == (0o700, "vmail", "vmail")
    assert server.daemon.serves == server.host.nodes[service.MAIN_CF].content


def test_a_second_apply_does_nothing_at_all(server: Server) -> None:
    server.apply(SPEC)
    nodes, effects = dict(server.host.nodes), len(server.host.log)
    assert server.apply(SPEC) is None
    assert server.host.nodes == nodes
    assert server.host.log[effects:] == []


def test_main_cf_looks_old_and_a_login_list_newer_than_the_one_before(server: Server) -> None:
    server.apply(SPEC)
    before = server.host.nodes[service.USERS].mtime_ns
    server.apply(OTHER_SPEC)
    after = server.host.nodes[service.USERS].mtime_ns
    assert after // 10**9 > before // 10**9
    assert server.host.nodes[service.MAIN_CF].mtime_ns < after - 9 * 10**9


def test_other_files_stay_as_they_are(server: Server) -> None:
    notes = server.host.nodes[PurePosixPath("/etc/postfix/notes.txt")]
    server.apply(SPEC)
    server.apply(OTHER_SPEC)
    server.rollback(0)
    assert server.host.nodes[PurePosixPath("/etc/postfix/notes.txt")] == notes


def test_a_faulty_configuration_never_goes_live(server: Server) -> None:
    before = server.etc()
    fails("postconf", "bad numeric value", server)
    with pytest.raises(MailctlError, match="faulty") as failure:
        server.apply(SPEC)
    assert [problem.message for problem in failure.value.problems] == ["bad numeric value"]
    assert server.etc() == before
    assert server.said == ["nothing was changed"]
    assert server.daemon.reloads == 0
    assert read_current(server.host, DEBIAN_12) is None


def test_a_configuration_that_does_not_serve_is_taken_back(server: Server) -> None:
    server.apply(SPEC)
    before = server.etc()
    fails("probe", "no answer", server)
    with pytest.raises(MailctlError, match="does not serve"):
        server.apply(OTHER_SPEC)
    assert server.etc() == before
    assert server.daemon.serves == before[str(service.MAIN_CF)][0]
    assert server.said[-1] == "the old configuration is back and serves"
    assert read_current(server.host, DEBIAN_12) == 1
    assert read_numbers(server.host, DEBIAN_12) == [1]


def test_a_service_that_does_not_come_back_with_the_old_files_needs_a_person(server: Server) -> None:
    server.apply(SPEC)
    before = server.etc()
    fails("postfix", "fatal: no such device", server)
    with pytest.raises(RollbackError, match="old files are back") as failure:
        server.apply(OTHER_SPEC)
    assert "no such device" in failure.value.problems[0].message
    assert server.etc() == before
    server.host.programs.pop("postfix")
    assert server.apply(OTHER_SPEC) == 2


def test_an_old_file_that_cannot_be_put_back_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.apply(SPEC)
    rename = server.host.rename

    def broken(source: PurePosixPath, destination: PurePosixPath) -> None:
        if source.name.endswith("mailctl-old"):
            raise OSError(5, "Input/output error", str(source))
        rename(source, destination)

    fails("probe", "no answer", server)
    with monkeypatch.context() as patch:
        patch.setattr(server.host, "rename", broken)
        with pytest.raises(RollbackError, match="Input/output error") as failure:
            server.apply(OTHER_SPEC)
    assert "/etc/postfix/main.cf" in {str(problem.origin) for problem in failure.value.problems}
    server.host.programs.pop("probe")
    assert server.apply(OTHER_SPEC) == 2
    assert server.said[0] == "an interrupted apply was undone: the configuration before it serves"


def test_rollback_brings_the_generation_before_back_and_the_next_number_is_new(server: Server) -> None:
    server.apply(SPEC)
    first = server.etc()
    server.apply(OTHER_SPEC)
    second = server.etc()
    assert choose_generation(server.host, DEBIAN_12, None) == 1
    server.rollback(1)
    assert server.etc() == first
    assert server.daemon.serves == first[str(service.MAIN_CF)][0]
    server.rollback(2)
    assert server.etc() == second
    server.rollback(1)
    assert server.apply(OTHER_SPEC) == 3


def test_without_a_number_rollback_goes_to_what_served_before(server: Server) -> None:
    server.apply(SPEC)
    server.apply(OTHER_SPEC)
    server.rollback(1)
    server.apply(many_mailboxes(3))  # generation 3 follows 1, not 2
    assert choose_generation(server.host, DEBIAN_12, None) == 1
    server.rollback(1)
    assert choose_generation(server.host, DEBIAN_12, None) == 0


def test_a_table_changed_by_hand_is_kept_and_made_again(server: Server) -> None:
    server.apply(SPEC)
    (source,) = (path for path in server.host.files(f"{STATE}/generations") if path.endswith("virtual_alias"))
    good = server.host.nodes[PurePosixPath(source)].content
    server.host.put(source, "info@example.org mallory@example.net\n")
    with pytest.raises(BusyError, match="virtual_alias"):
        server.apply(SPEC)
    server.apply(SPEC, overwrite=True)
    assert server.host.nodes[PurePosixPath(source)].content == good
    assert [node.content for node in server.host.files(f"{STATE}/overwritten").values()] == [
        b"info@example.org mallory@example.net\n"
    ]


def test_rollback_to_zero_restores_what_was_found_before_the_first_apply(server: Server) -> None:
    before = server.etc()
    server.apply(SPEC)
    server.apply(OTHER_SPEC)
    server.rollback(0)
    assert server.etc() == before
    with pytest.raises(UsageError, match="nothing to go back from"):
        choose_generation(server.host, DEBIAN_12, None)


def test_a_file_no_longer_managed_becomes_what_it_was_before(server: Server) -> None:
    server.apply(SPEC)
    assert server.etc()["/etc/opendkim.conf"][0] == b"Mode s\n"
    server.apply(OTHER_SPEC)
    assert server.etc()["/etc/opendkim.conf"][0] == b"# Debian's\n"
    server.host.put("/etc/opendkim.conf", "# mine now\n")
    server.apply(SPEC)
    server.rollback(2)
    assert server.etc()["/etc/opendkim.conf"][0] == b"# mine now\n"


def test_rollback_names_only_generations_there_are(server: Server) -> None:
    with pytest.raises(UsageError, match="nothing was applied"):
        choose_generation(server.host, DEBIAN_12, 0)
    server.apply(SPEC)
    with pytest.raises(UsageError, match="no generation 7"):
        choose_generation(server.host, DEBIAN_12, 7)


def test_a_damaged_generation_is_not_put_back(server: Server) -> None:
    server.apply(SPEC)
    server.apply(OTHER_SPEC)
    server.host.put(f"{STATE}/history/1/tree/etc/postfix/main.cf", "mynetworks = 0.0.0.0/0\n")
    with pytest.raises(MailctlError, match="generation 1 is damaged"):
        server.rollback(1)


def test_ten_generations_and_their_tables_are_kept(server: Server) -> None:
    for count in range(1, 16):
        server.apply(many_mailboxes(count))
    assert read_numbers(server.host, DEBIAN_12) == list(range(16 - KEPT_GENERATIONS, 16))
    assert len(server.host.list_directory(DEBIAN_12.generations_dir)) == 1  # the same aliases throughout
    assert server.host.list_directory(PurePosixPath(STATE, "history"))[0] == "0"


def test_tables_of_removed_generations_go_with_them(server: Server) -> None:
    for count in range(1, 16):
        server.apply(spec_with(aliases={f"alias{count}": ["ali"]}))
    assert len(server.host.list_directory(DEBIAN_12.generations_dir)) == KEPT_GENERATIONS


def test_a_file_changed_by_hand_is_not_lost_silently(server: Server) -> None:
    server.apply(SPEC)
    server.host.put("/etc/postfix/main.cf", "myhostname = mine.example.org\n")
    with pytest.raises(BusyError, match=r"changed by hand since generation 1: /etc/postfix/main\.cf"):
        server.apply(OTHER_SPEC)
    assert server.apply(OTHER_SPEC, overwrite=True) == 2
    copies = [node for path, node in server.host.files(f"{STATE}/overwritten").items() if path.endswith("main.cf")]
    assert [(copy.content, copy.mode) for copy in copies] == [(b"myhostname = mine.example.org\n", 0o600)]


def test_a_table_removed_by_hand_is_made_again(server: Server) -> None:
    server.apply(SPEC)
    (index,) = (path for path in server.host.files(f"{STATE}/generations") if path.endswith(".cdb"))
    content = server.host.nodes.pop(PurePosixPath(index)).content
    assert server.apply(SPEC) == 2
    assert server.host.nodes[PurePosixPath(index)].content == content


def test_a_plan_that_no_longer_holds_is_not_applied(server: Server) -> None:
    plan = server.plan(SPEC)
    server.host.put("/etc/postfix/main.cf", "relayhost = elsewhere\n")
    with pytest.raises(BusyError, match="changed since the plan was made"):
        apply_plan(server.host, DEBIAN_12, SPEC, plan, server.order())
    assert server.etc()["/etc/postfix/main.cf"][0] == b"relayhost = elsewhere\n"


def test_only_one_at_a_time(server: Server) -> None:
    server.apply(SPEC)
    with server.host.lock(PurePosixPath(STATE, "lock")), pytest.raises(BusyError, match="another mailctl"):
        server.apply(OTHER_SPEC)


def test_everything_the_machine_lacks_is_named_before_anything_is_written(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack = Problem(Origin("Postfix"), "", "it has no table type 'pcre'", "apt-get install postfix-pcre")
    monkeypatch.setattr(service, "missing", lambda host, tree: [lack] if service.MAIN_CF in tree.files else [])
    server.host.missing_programs.add("postfix")
    server.host.missing_users.add("vmail")
    server.host.free = 2**20
    nodes = dict(server.host.nodes)
    with pytest.raises(UnfitError) as failure:
        server.apply(SPEC)
    messages = [problem.message for problem in failure.value.problems]
    assert messages[:2] == ["the program 'postfix' is not installed", "there is no user 'vmail'"]
    assert messages[2] == "it has no table type 'pcre'"
    assert "1 MB are free" in messages[3]
    assert failure.value.problems[0].hint == "apt-get install postfix"
    assert server.host.nodes == nodes


def test_a_symlink_is_never_written_through(server: Server) -> None:
    server.host.symlinks.add(service.MAIN_CF)
    with pytest.raises(UnfitError) as failure:
        server.apply(SPEC)
    assert "is a symlink" in failure.value.problems[0].message


def test_many_addresses_go_only_when_that_is_wanted(server: Server) -> None:
    server.apply(many_mailboxes(20))
    with pytest.raises(MailctlError, match="13 of 22 addresses would be removed"):
        server.apply(many_mailboxes(7))
    assert server.apply(many_mailboxes(7), allow_destroy=True) == 2
    assert server.apply(many_mailboxes(2)) == 3  # nine addresses are too few to ask


def test_a_directory_gets_the_owner_it_needs_and_the_old_one_back(server: Server) -> None:
    server.host.make_directory(PurePosixPath("/var/vmail"), 0o755, "ali", "ali")
    fails("probe", "no answer", server)
    with pytest.raises(MailctlError):
        server.apply(SPEC)
    vmail = server.host.nodes[PurePosixPath("/var/vmail")]
    assert (vmail.mode, vmail.owner) == (0o755, "ali")
    server.host.programs.pop("probe")
    server.apply(SPEC)
    vmail = server.host.nodes[PurePosixPath("/var/vmail")]
    assert (vmail.mode, vmail.owner) == (0o700, "vmail")


def test_a_journal_nobody_understands_needs_a_person(server: Server) -> None:
    server.apply(SPEC)
    server.host.put(f"{STATE}/journal/apply-2.jsonl", "what is this\n")
    with pytest.raises(RollbackError, match="journal of an unfinished apply is damaged"):
        server.apply(OTHER_SPEC)


def test_a_password_changes_without_being_shown_or_stored(server: Server) -> None:
    server.apply(SPEC)
    other = HASH.replace("b" * 86, "c" * 86)
    changed = spec_with(mailboxes={"ali": {"password": {"hash": other}}, "bob": {"password": {"hash": HASH}}})
    plan = server.plan(changed)
    assert [(effect.name, effect.detail) for effect in plan.effects] == [("ali@example.org", "password changed")]
    server.apply(changed)
    for path, node in server.host.files(f"{STATE}/history").items():
        if "/tree/etc/dovecot/" not in path:
            assert other.encode() not in (node.content or b"")
            assert b"c" * 86 not in (node.content or b"")
