"""What checks make of what programs say, and of machines that cannot be had in a lab."""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from mailctl.doctor import Diagnosis, Finding, Verdict, examine, select_checks
from mailctl.doctor.changes import news, read_known, write_known
from mailctl.doctor.checks import clock, disk, environment, log, queue
from mailctl.doctor.model import Check, Patient, fail, ok, skip, warn
from mailctl.doctor.registry import CHECKS
from mailctl.errors import BusyError, MailctlError, SpecError, UsageError
from mailctl.host import Completed, LocalHost
from mailctl.spec.model import Server, Spec
from mailctl.target import DEBIAN_12
from tests.memory_host import MemoryHost

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPEC = Spec.model_validate(
    {
        "version": "1",
        "server": {"hostname": "mx1.example.org"},
        "tls": {"self_signed": "true"},
        "domains": {"example.org": {"dkim": {"selector": "s1"}}},
    }
)


def patient(host: MemoryHost | None = None, spec: Spec | None = SPEC) -> Patient:
    return Patient(host or MemoryHost(), DEBIAN_12, spec, (), NOW)  # type: ignore[arg-type]


def load_spec() -> tuple[Spec, tuple[Server, ...]]:
    return SPEC, ()


def queued(name: str, age: timedelta, queue_id: str = "4ABC", reason: str = "") -> bytes:
    recipient = {"address": "bob@example.com"} | ({"delay_reason": reason} if reason else {})
    arrival = int((NOW - age).timestamp())
    entry = {"queue_name": name, "queue_id": queue_id, "arrival_time": arrival, "recipients": [recipient]}
    return json.dumps(entry).encode() + b"\n"


def look_at_queue(text: bytes, status: int = 0) -> list[Finding]:
    host = MemoryHost(
        programs={"postqueue": lambda argv, stdin: Completed(argv, status, text, b"postqueue: fatal: no")}
    )
    return list(queue.look(patient(host)))


@pytest.mark.parametrize(
    ("text", "verdict", "words"),
    [
        (b"", Verdict.OK, "empty"),
        (queued("active", HOUR), Verdict.OK, "1 active; the oldest waits for 60 min"),
        (queued("deferred", 5 * HOUR, reason="refused"), Verdict.WARN, "4ABC waits for 5 h, most for: refused"),
        (queued("deferred", 60 * HOUR), Verdict.FAIL, "waits for 2 days"),
        (queued("hold", 900 * HOUR) + queued("active", HOUR), Verdict.OK, "1 active, 1 hold"),
        (queued("deferred", HOUR) * 1001, Verdict.WARN, "1001 deferred"),
        (queued("deferred", HOUR) * 10_001, Verdict.FAIL, "10001 deferred"),
        (queued("active", HOUR) + b'{"queue_name": "act', Verdict.OK, "1 active"),
        (queued("deferred", 5 * HOUR, reason="\x1b[31mred"), Verdict.WARN, "\\x1b[31mred"),
    ],
)  # fmt: skip
def test_the_queue(text: bytes, verdict: Verdict, words: str) -> None:
    (found,) = look_at_queue(text)
    assert (found.verdict, words in found.text) == (verdict, True), found
    assert (found.remedy != "") == (verdict is not Verdict.OK)


def test_a_queue_that_cannot_be_read() -> None:
    (found,) = look_at_queue(b"", 69)
    assert (found.verdict, found.text) == (Verdict.FAIL, "it cannot be read: postqueue: fatal: no")


DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 100 90 10 {percent}% /{mount}\n"


@pytest.mark.parametrize(
    ("percent", "verdict"), [(84, Verdict.OK), (85, Verdict.WARN), (94, Verdict.WARN), (95, Verdict.FAIL)]
)
def test_a_disk_fills_up(percent: int, verdict: Verdict) -> None:
    text = DF.format(percent=percent, mount="var").encode()
    host = MemoryHost(programs={"df": lambda argv, stdin: Completed(argv, 0, text, b"")})
    assert {found.verdict for found in disk.look(patient(host))} == {verdict}


def test_file_systems_with_odd_names_and_without_inodes() -> None:
    text = DF.format(percent=3, mount="a mount point") + "tmpfs 0 0 0 - /run\n/dev/vda1 1 1 1 3% /a mount point\n"
    assert [(each.mount, each.percent) for each in disk.parse_df(text)] == [("/a mount point", 3)]


def test_a_df_that_says_nothing() -> None:
    assert {found.verdict for found in disk.look(patient())} == {Verdict.FAIL}


def test_the_journal_is_the_log_of_a_host_without_a_log_file() -> None:
    entry = {
        "__REALTIME_TIMESTAMP": str(int((NOW - HOUR).timestamp() * 1_000_000)),
        "_HOSTNAME": "mx1",
        "SYSLOG_IDENTIFIER": "postfix/smtp",
        "SYSLOG_PID": "7",
        "MESSAGE": "A00000000001: to=<a@b.example>, relay=b[192.0.2.1]:25, delay=1, delays=0/0/0/1, "
        "dsn=2.0.0, status=sent (ok)",
    }
    journal = json.dumps(entry).encode() + b"\n"
    host = MemoryHost(programs={"journalctl": lambda argv, stdin: Completed(argv, 0, journal, b"")})
    assert [each.verdict for each in log.look(patient(host))] == [Verdict.SKIP]
    host.make_directory(PurePosixPath("/run/systemd/system"), 0o755, "root", "root")
    assert [each.text for each in log.look(patient(host))] == [
        "in a day 0 received, 1 delivered, 0 deferred, 0 bounced, 0 rejected"
    ]


def test_the_log_names_who_guesses_passwords_and_leaves_out_the_probes() -> None:
    stamp = (NOW - HOUR).isoformat(timespec="seconds")
    guess = "mx1 postfix/smtpd[1]: warning: unknown[{client}]: SASL LOGIN authentication failed: x"
    lines = [f"{stamp} {guess.format(client=client)}" for client in ("203.0.113.9", "198.19.0.9") for _ in range(30)]
    down = f"{stamp} mx1 postfix/smtpd[1]: fatal: no SASL authentication mechanisms"
    log_bytes = "\n".join([*lines, down, ""]).encode()
    host = MemoryHost(programs={"journalctl": lambda argv, stdin: Completed(argv, 0, log_bytes, b"")})
    host.make_directory(PurePosixPath("/run/systemd/system"), 0o755, "root", "root")
    dovecot, guessed, left_out = log.look(patient(host))
    assert (dovecot.verdict, guessed.verdict, left_out.verdict) == (Verdict.FAIL, Verdict.WARN, Verdict.OK)
    assert "systemctl restart dovecot" in dovecot.remedy
    assert guessed.text == "30 failed logins in a day: somebody guesses passwords (30 203.0.113.9)"
    assert left_out.text == "30 failed logins of mailctl's own probes left out"


@pytest.mark.parametrize(("state", "verdict"), [(0, Verdict.OK), (5, Verdict.WARN), (-1, Verdict.SKIP)])
def test_the_clock(state: int, verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "clock_state", lambda: state)
    (found,) = clock.look(patient())
    assert found.verdict is verdict


def test_the_kernel_answers_about_its_clock() -> None:
    assert clock.clock_state() in range(-1, 6)


def test_programs_users_and_modules_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = MemoryHost(missing_programs={"postfix"}, missing_users={"opendkim"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = {each.subject: each for each in environment.look(patient(host))}
    assert found["postfix"].remedy.startswith("apt-get install postfix")
    assert found["opendkim"].verdict is Verdict.FAIL
    assert found["dkimpy"].remedy.endswith("bin/pip install dkimpy")
    monkeypatch.undo()
    (well,) = environment.look(patient())
    assert well.text.startswith("mx1.example.org, domains: 1")


def test_before_the_first_apply_one_line_says_what_to_do() -> None:
    checks = select_checks(["services", "ports", "drift"])
    found = [finding for each in examine(MemoryHost(), load_spec, checks) for finding in each.findings]  # type: ignore[arg-type]
    assert [(each.verdict, each.text, each.remedy) for each in found] == [
        (Verdict.FAIL, "nothing was applied yet", "mailctl apply"),
        (Verdict.SKIP, "nothing was applied yet", ""),
        (Verdict.SKIP, "nothing was applied yet", ""),
    ]


def raising(error: Exception) -> Check:
    def run(patient: Patient) -> Iterator[Finding]:
        yield ok("first", "fine")
        raise error

    return Check("it", run)


@pytest.mark.parametrize(
    ("error", "verdict", "words"),
    [
        (PermissionError(13, "Permission denied", "/etc/x"), Verdict.SKIP, "/etc/x cannot be read"),
        (MailctlError("no such thing", "look here"), Verdict.FAIL, "no such thing"),
        (BusyError("locked"), Verdict.FAIL, "locked"),
        (OSError(5, "Input/output error", "/var"), Verdict.FAIL, "/var: Input/output error"),
        (ValueError("a fault of ours"), Verdict.FAIL, "unexpected ValueError: a fault of ours"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_check_that_fails_takes_no_other_with_it(error: Exception, verdict: Verdict, words: str) -> None:
    checks = (raising(error), Check("next", lambda patient: iter([ok("next", "fine")])))
    broken, well = examine(LocalHost(), load_spec, checks)
    assert [each.verdict for each in broken.findings] == [Verdict.OK, verdict]
    assert words in broken.findings[1].text
    assert broken.findings[1].remedy
    assert well.verdict is Verdict.OK


def test_a_check_that_hangs_is_left_behind() -> None:
    let_go = threading.Event()

    def hang(patient: Patient) -> Iterator[Finding]:
        let_go.wait(60)
        yield ok("late", "fine")

    started = time.monotonic()
    found = examine(LocalHost(), load_spec, (Check("slow", hang), raising(MailctlError("x"))), longest=0.5)
    let_go.set()
    assert time.monotonic() - started < 30
    assert (found[0].verdict, found[0].findings[0].text) == (Verdict.FAIL, "no answer within 0.5 s")
    assert "--only slow" in found[0].findings[0].remedy
    assert found[1].verdict is Verdict.FAIL


def test_a_folder_has_files_and_no_server(tmp_path: Path) -> None:
    found = {each.check: each for each in examine(LocalHost(tmp_path), load_spec)}
    skipped = {name for name, each in found.items() if each.verdict is Verdict.SKIP}
    assert skipped >= {"services", "ports", "queue", "disk", "clock", "dns"}
    assert all("--root" in found[name].findings[0].remedy for name in ("services", "ports", "queue"))


def test_without_root_what_is_skipped_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalHost, "is_root", lambda self: False)
    found = examine(LocalHost(), load_spec, select_checks(["services", "drift", "dkim"]))
    assert {each.verdict for each in found} == {Verdict.SKIP}
    assert {each.findings[0].remedy for each in found} == {"run it with sudo"}


def test_a_spec_that_cannot_be_loaded_is_a_finding() -> None:
    def refuse() -> tuple[Spec, tuple[Server, ...]]:
        raise SpecError("mail.yml is not valid", problems=())

    first, ports = examine(LocalHost(), refuse, select_checks(["environment", "ports"]))
    assert "mail.yml is not valid" in first.findings[0].text
    assert ports.verdict is Verdict.SKIP


def test_checks_are_chosen_by_name() -> None:
    assert [check.name for check in select_checks(["queue", "disk"])] == ["queue", "disk"]
    assert select_checks([]) == CHECKS
    with pytest.raises(UsageError, match="no check 'quue'"):
        select_checks(["quue"])


def test_only_news_is_news() -> None:
    host = MemoryHost()
    path = DEBIAN_12.state_dir / "doctor.json"

    def run(*diagnoses: Diagnosis) -> list[str]:
        known = read_known(host, path)
        fresh = [finding.text for _, finding in news(diagnoses, known)]
        write_known(host, path, diagnoses, known)
        return fresh

    def queue_of(*findings: Finding) -> Diagnosis:
        return Diagnosis("queue", findings)

    assert run(queue_of(ok("queue", "empty"))) == []
    assert run(queue_of(warn("age", "5 h", "do"))) == ["5 h"]
    assert run(queue_of(warn("age", "6 h", "do"))) == [], "numbers are no news"
    assert run(queue_of(fail("age", "3 days", "do"), warn("size", "many", "do"))) == ["3 days", "many"]
    assert run(queue_of(skip("queue", "only root"))) == [], "nobody looked"
    assert run(queue_of(fail("age", "3 days", "do"))) == ["size: well again"]
    assert run(Diagnosis("disk", (ok("disk", "fine"),))) == [], "another check was asked for"
    assert run(queue_of(ok("queue", "empty"))) == ["age: well again"]
    assert host.nodes[path].mode == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", '{"found": [["a"]]}', '{"found": [["a", "b", "c"]]}'])
def test_a_damaged_memory_is_named(content: str) -> None:
    host = MemoryHost()
    host.put("/var/lib/mailctl/doctor.json", content)
    with pytest.raises(MailctlError, match=r"doctor\.json"):
        read_known(host, DEBIAN_12.state_dir / "doctor.json")
