"""apply, rollback, history and status on a real server with real services."""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_kit import Lab, password_hash, write_example

from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from tests.waiting import eventually

pytestmark = pytest.mark.real

WATCHED = ("/etc/postfix", "/etc/dovecot", "/etc/opendkim", "/etc/opendkim.conf", "/var/lib/mailctl")
STRANGER = "stranger@partner.example"


@pytest.fixture(scope="module")
def lab(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A server of this module's own: its spec changes."""
    return start_lab(write_example(tmp_path_factory.mktemp("apply")))


@pytest.fixture
def spec(lab: Lab) -> Iterator[Path]:
    """The spec file, applied as it was before and after the test."""
    text = lab.spec_file.read_text()
    yield lab.spec_file
    lab.spec_file.write_text(text)
    apply(lab, "--overwrite", "--allow-destroy")


def apply(lab: Lab, *options: str, exit_code: int = 0) -> str:
    """Without a canary, which has tests of its own and takes seconds."""
    done = lab.mailctl("-f", str(lab.spec_file), "apply", "-y", "--no-canary", *options)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout + done.stderr


def edit(spec: Path, before: str, after: str) -> None:
    text = spec.read_text()
    assert before in text
    spec.write_text(text.replace(before, after))


def add_mailbox(spec: Path, name: str) -> None:
    (spec.parent / "secrets" / name).write_text(password_hash(f"pw-{name}"))
    edit(
        spec,
        "    aliases:\n      info",
        f"      {name}: {{password: {{file: secrets/{name}}}}}\n    aliases:\n      info",
    )


def fingerprint(lab: Lab) -> str:
    """Inode, change time, mode, owner of everything mailctl manages."""
    return lab.run("find", *WATCHED, "-printf", "%p %i %T@ %C@ %m %u %g\n")


def contents(lab: Lab) -> str:
    return lab.run("sh", "-c", f"find {' '.join(WATCHED[:4])} -type f | sort | xargs sha256sum")


def reloads(lab: Lab) -> int:
    return lab.log().count("reload -- version")


def test_a_second_apply_writes_nothing_and_reloads_nothing(lab: Lab, spec: Path) -> None:
    before, count = fingerprint(lab), reloads(lab)
    assert "No changes." in apply(lab)
    assert fingerprint(lab) == before
    assert reloads(lab) == count


def test_a_new_mailbox_gets_mail_at_once_and_a_rollback_refuses_it_again(lab: Lab, spec: Path) -> None:
    assert lab.send(STRANGER, "carol@example.org").replies["carol@example.org"].code == 550
    add_mailbox(spec, "carol")
    said = apply(lab)
    assert "+ mailbox carol@example.org  quota 2G" in said
    assert "Plan: 1 to add, 0 to change, 0 to remove. Postfix: reload." in said
    assert lab.send(STRANGER, "carol@example.org", subject="welcome").is_accepted
    lab.wait_for_mail("carol@example.org", "welcome")
    assert lab.sandbox.run(["doveadm", "auth", "test", "carol@example.org", "pw-carol"]).returncode == 0
    assert lab.mailctl("rollback", "-y").returncode == 0
    assert lab.send(STRANGER, "carol@example.org").replies["carol@example.org"].code == 550
    # Dovecot looks at its passwd-file once a second at most.
    assert eventually(
        lambda: lab.sandbox.run(["doveadm", "auth", "test", "carol@example.org", "pw-carol"]).returncode != 0, 5
    )


def test_a_new_password_holds_at_once_however_quickly_it_changes(lab: Lab, spec: Path) -> None:
    for password in ("first", "second", "pw-bob"):
        (spec.parent / "secrets/bob").write_text(password_hash(password))
        assert "~ mailbox bob@example.org  password changed" in apply(lab)
        assert "auth succeeded" in lab.run("doveadm", "auth", "test", "bob@example.org", password)


def test_a_fault_is_found_before_anything_goes_live(lab: Lab, spec: Path) -> None:
    before, count = contents(lab), reloads(lab)
    spec.write_text(f"{spec.read_text()}\npostfix: {{main: {{no_such_parameter: '1'}}}}\n")
    said = apply(lab, exit_code=1)
    assert "no_such_parameter" in said
    assert "nothing was changed" in said
    assert contents(lab) == before
    assert reloads(lab) == count


def test_a_service_that_does_not_serve_afterwards_brings_the_old_files_back(lab: Lab, spec: Path) -> None:
    before = contents(lab)
    lab.run(
        "sh", "-c", "kill $(cat /run/dovecot/master.pid); while test -e /run/dovecot/master.pid; do sleep 0.05; done"
    )
    try:
        add_mailbox(spec, "dora")
        said = apply(lab, exit_code=1)
        # Told before the switch, and not passed over afterwards.
        assert "Dovecot: warning: it does not run\n    hint: start it with `" in said
        assert "the old configuration is back; not running: Dovecot" in said
        assert contents(lab) == before
        status = lab.mailctl("status")
        assert status.returncode == 1
        assert "Dovecot 2.3 does not run" in status.stdout
    finally:
        lab.run("dovecot")


def test_an_apply_without_changes_names_the_service_that_is_down(lab: Lab, spec: Path) -> None:
    lab.run("sh", "-c", "kill $(cat /run/opendkim/opendkim.pid); while pgrep -x opendkim; do sleep 0.05; done")
    try:
        assert "OpenDKIM: warning: it does not run\n    hint: start it with `" in apply(lab)
    finally:
        lab.run("opendkim")


def test_a_hand_edit_is_kept_before_it_is_overwritten(lab: Lab, spec: Path) -> None:
    lab.run("sh", "-c", "echo '# by hand' >> /etc/postfix/main.cf")
    add_mailbox(spec, "erin")
    assert "changed by hand since generation" in apply(lab, exit_code=75)
    assert "kept the files changed by hand" in apply(lab, "--overwrite")
    kept = lab.run("sh", "-c", "tail -n1 /var/lib/mailctl/overwritten/*/etc/postfix/main.cf")
    assert "# by hand" in kept


def test_a_lost_table_is_made_again_and_mail_still_comes_in(lab: Lab, spec: Path) -> None:
    lab.run("sh", "-c", "rm /var/lib/mailctl/generations/*/virtual_mailbox.*")
    assert "it is made again" in apply(lab)
    assert "No changes." in apply(lab)
    lab.wait_for(
        lambda: lab.send(STRANGER, "ali@example.org", subject="after repair").is_accepted or None, "refused for good"
    )


def test_while_another_apply_runs_the_second_is_refused(lab: Lab, spec: Path) -> None:
    add_mailbox(spec, "frank")
    lock = lab.sandbox.path("/var/lib/mailctl/lock")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another mailctl is writing to this host" in apply(lab, exit_code=75)
    assert "Generation" in apply(lab)


def test_of_applies_at_a_time_one_serves_and_the_others_are_refused(lab: Lab, spec: Path) -> None:
    add_mailbox(spec, "hugo")
    environment = [f"{name}={value}" for name, value in PYTHON_ENVIRONMENT.items()]
    verb = ("env", *environment, *python_module("mailctl", "-f", str(spec), "apply", "-y", "--no-canary"))
    script = 'for each in 1 2 3 4; do { "$@" >/dev/null 2>&1; echo "exit $?"; } & done; wait'
    exits = lab.run("sh", "-c", script, "sh", *verb).splitlines()
    # One that begins after the first ended has nothing to do.
    assert len(exits) == 4
    assert {"exit 0"} <= set(exits) <= {"exit 0", "exit 75"}
    assert "No changes." in apply(lab)
    assert lab.send(STRANGER, "hugo@example.org").is_accepted
    assert lab.run("grep", "-rl", "+ mailbox hugo", "/var/lib/mailctl/history").count("plan.txt") == 1


def test_a_place_that_somebody_made_a_symlink_is_not_written_through(lab: Lab, spec: Path) -> None:
    lab.run("sh", "-c", "mv /etc/postfix/main.cf /etc/postfix/elsewhere && ln -s elsewhere /etc/postfix/main.cf")
    try:
        before = fingerprint(lab)
        add_mailbox(spec, "ida")
        assert "/etc/postfix/main.cf: is a symlink" in apply(lab, exit_code=69)
        assert fingerprint(lab) == before
    finally:
        lab.run("mv", "/etc/postfix/elsewhere", "/etc/postfix/main.cf")


@pytest.mark.parametrize("user", ["opendkim", "vmail"])
def test_without_a_user_that_files_belong_to_nothing_is_written(lab: Lab, spec: Path, user: str) -> None:
    before = fingerprint(lab)
    add_mailbox(spec, "jana")
    lab.run("sed", "-i.kept", f"s/^{user}:/x{user}:/", "/etc/passwd")
    try:
        said = apply(lab, exit_code=69)
    finally:
        lab.run("mv", "/etc/passwd.kept", "/etc/passwd")
    assert f"there is no user '{user}'" in said
    assert fingerprint(lab) == before


def test_a_stopped_postfix_gets_its_files_and_stays_stopped(lab: Lab, spec: Path) -> None:
    lab.run("postfix", "stop")
    try:
        add_mailbox(spec, "kim")
        assert "Postfix: warning: it does not run" in apply(lab)
        assert "kim@example.org" in lab.run("cat", "/etc/dovecot/mailctl.users")
        assert lab.sandbox.run(["postfix", "status"]).returncode != 0
    finally:
        lab.run("postfix", "start")
    assert lab.send(STRANGER, "kim@example.org").is_accepted


@pytest.mark.parametrize("step", ["begin", "prepare", "replace"])
def test_a_terminated_apply_is_undone_and_says_so(lab: Lab, spec: Path, step: str) -> None:
    before = contents(lab)
    add_mailbox(spec, "gina")
    # The signal goes to mailctl itself as soon as its journal says that it is there.
    script = f"""
        "$@" & pid=$!
        until grep -qs '"{step}"' /var/lib/mailctl/journal/*; do kill -0 $pid || break; done
        kill -TERM $pid; wait $pid; echo "exit $?" >&2
    """
    environment = [f"{name}={value}" for name, value in PYTHON_ENVIRONMENT.items()]
    verb = ("env", *environment, sys.executable, "-P", "-m", "mailctl", "-f", str(spec), "apply", "-y", "--no-canary")
    done = lab.sandbox.run(["sh", "-c", script, "sh", *verb])
    said = done.stderr.decode()
    if "exit 0" in said:
        pytest.fail(f"the signal came too late\n{said}")
    assert "exit 130" in said, said
    assert contents(lab) == before
    was_late = "the old configuration is back and serves" in said
    assert was_late or (step != "replace" and "nothing was changed" in said), said
    assert lab.mailctl("status").returncode == 0
    assert lab.send(STRANGER, "gina@example.org").replies["gina@example.org"].code == 550


def test_history_and_status_say_what_serves(lab: Lab, spec: Path) -> None:
    history = json.loads(lab.mailctl("history", "--json").stdout)
    assert history["current"] in [each["number"] for each in history["generations"]]
    assert lab.mailctl("history").stdout.count("*") == 1
    status = lab.mailctl("status", "--json")
    assert status.returncode == 0, status.stdout
    data = json.loads(status.stdout)
    assert data["generation"] == history["current"]
    assert {each["name"]: each["running"] for each in data["services"]} == {
        "OpenDKIM": True,
        "Dovecot": True,
        "Postfix": True,
    }


def test_generation_0_serves_like_any_other(start_lab: Callable[[Path], Lab], tmp_path: Path) -> None:
    server = start_lab(write_example(tmp_path))
    assert server.mailctl("rollback", "-y", "0").returncode == 0
    marked = [line for line in server.mailctl("history").stdout.splitlines() if line.startswith("*")]
    assert [line.split()[1] for line in marked] == ["0"]
    services = json.loads(server.mailctl("status", "--json").stdout)["services"]
    assert {"Postfix", "Dovecot"} <= {each["name"] for each in services}
    again = server.mailctl("rollback", "-y")
    assert again.returncode == 64
    assert "nothing to go back from: generation 0 serves" in again.stderr


def test_secrets_are_readable_by_root_only(lab: Lab, spec: Path) -> None:
    holders = lab.run("grep", "-rl", "plain-isp", "/var/lib/mailctl", "/etc").splitlines()
    assert any(path.endswith("/relay_passwords") for path in holders)
    assert {lab.run("stat", "-c", "%a %U", path) for path in holders} == {"600 root\n"}
    assert lab.run("stat", "-c", "%a %U", "/var/lib/mailctl/history") == "700 root\n"
