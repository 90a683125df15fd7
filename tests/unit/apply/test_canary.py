"""What comes of a canary: where apply sends it, and which lines of its log count."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import PurePosixPath

import pytest

from mailctl.apply.canary import Rehearsal
from mailctl.apply.findings import complaints
from mailctl.apply.live_log import breakdowns, service_lines
from mailctl.errors import BusyError, MailctlError
from mailctl.plan.model import Plan
from mailctl.plan.stored import read_meta
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12, Target
from tests.unit.apply import service
from tests.unit.apply.conftest import OTHER_SPEC, SPEC, Server

STAMP = "2026-11-25T14:00:00.000000+00:00 mx1"


def test_it_sees_the_plan_before_anything_changes_and_is_remembered(server: Server) -> None:
    server.apply(SPEC)
    before = server.etc()
    passed = Rehearsal(62, 2.3)

    def rehearse(target: Target, spec: Spec, plan: Plan, folder: PurePosixPath) -> Rehearsal:
        assert server.etc() == before
        assert plan.desired.files[service.MAIN_CF].content != before[str(service.MAIN_CF)][0]
        assert folder.is_relative_to("/var/lib/mailctl/staging")
        return passed

    number = server.apply(OTHER_SPEC, rehearse=rehearse)
    assert "The canary passed 62 checks in 2.3 s." in server.said
    assert number is not None
    assert read_meta(server.host, DEBIAN_12, number).canary == asdict(passed)


def test_what_fails_in_it_never_goes_live(server: Server) -> None:
    server.apply(SPEC)
    before, reloads = server.etc(), server.daemon.reloads

    def rehearse(target: Target, spec: Spec, plan: Plan, folder: PurePosixPath) -> Rehearsal:
        raise MailctlError("the new configuration failed in the canary")

    with pytest.raises(MailctlError, match="in the canary"):
        server.apply(OTHER_SPEC, rehearse=rehearse)
    assert server.etc() == before
    assert server.daemon.reloads == reloads
    assert server.said[-1] == "nothing was changed"


def test_a_file_that_somebody_edits_meanwhile_is_left_alone(server: Server) -> None:
    server.apply(SPEC)

    def rehearse(target: Target, spec: Spec, plan: Plan, folder: PurePosixPath) -> Rehearsal:
        server.host.put(str(service.MAIN_CF), "# by hand\n")
        return Rehearsal(1, 0.1)

    with pytest.raises(BusyError, match="changed while"):
        server.apply(OTHER_SPEC, rehearse=rehearse)
    assert server.etc()[str(service.MAIN_CF)][0] == b"# by hand\n"


def test_a_generation_from_before_there_were_canaries_is_read(server: Server) -> None:
    server.apply(SPEC)
    path = PurePosixPath("/var/lib/mailctl/history/1/meta.json")
    data = json.loads(server.host.nodes[path].content or b"")
    del data["canary"]
    server.host.put(str(path), json.dumps(data))
    assert read_meta(server.host, DEBIAN_12, 1).canary is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "postfix/smtpd[9]: fatal: bad numerical configuration: smtpd_hard_error_limit = many",
            "postfix/smtpd: fatal: bad numerical configuration: smtpd_hard_error_limit = many",
        ),
        (
            "postfix/submissions/smtpd[9]: warning: connect to Milter service unix:/x: No such file or directory",
            "postfix/submissions/smtpd: warning: connect to Milter service unix:/x: No such file or directory",
        ),
        ("postfix/postfix-script[9]: warning: group or other writable: /etc/postfix/./main.cf", None),
        ("dovecot: auth: Error: passwd-file /etc/dovecot/mailctl.users: open failed", None),
        ("dovecot: master: Fatal: execv failed", None),
    ],
)
def test_a_complaint_of_a_service_counts(line: str, said: str | None) -> None:
    found = complaints(service_lines(f"{STAMP} {line}\n{STAMP} {line}\n"))
    assert [problem.message for problem in found] == [said or line.replace("[9]", "")]


@pytest.mark.parametrize(
    "line",
    [
        "postfix/smtpd[9]: warning: x.client.example[198.19.4.7]: SASL PLAIN authentication failed: no",
        "postfix/smtpd[9]: warning: Illegal address syntax from x[2001:db8:1bbf::100] in RCPT command: <victim@?>",
        "postfix/smtpd[9]: NOQUEUE: reject: RCPT from x[198.19.4.7]: 554 5.7.1 <warning: x@y>: Relay access denied",
        "postfix/master[9]: daemon started -- version 3.7.11, configuration /etc/postfix",
        "opendkim[9]: WARNING: symbol 'i' not available",
        "dovecot: imap-login: Disconnected: Connection closed (no auth attempts in 0 secs)",
        "postfix/cleanup[9]: warning: file system clock is 1 seconds ahead of local clock",
        "postfix/cleanup[9]: 4F: message-id=<warning: fatal: x@client.example>",
    ],
)
def test_what_a_client_or_the_machine_does_is_no_complaint(line: str) -> None:
    assert not list(complaints(service_lines(f"{STAMP} {line}\n")))


@pytest.mark.parametrize(
    "line",
    [
        "Nov 25 14:00:00 mx1 postfix/qmgr[9]: fatal: bad numerical configuration: x = many",
        "2026-11-25T14:00:00+0000 mx1 postfix/master[9]: warning: /usr/lib/postfix/sbin/smtpd: bad command startup",
        f"{STAMP} dovecot: master: Fatal: execv failed",
    ],
)
def test_a_service_that_cannot_go_on_says_so_in_the_live_log(line: str) -> None:
    assert [problem.message in line.replace("[9]", "") for problem in breakdowns(service_lines(line))] == [True]


@pytest.mark.parametrize(
    "line",
    [
        f"{STAMP} postfix/smtpd[9]: warning: hostname x does not resolve to address 203.0.113.7",
        f"{STAMP} postfix/smtpd[9]: NOQUEUE: reject: RCPT from x[203.0.113.7]: 554 <postfix/x[1]: fatal: >: no",
        f"{STAMP} postfix/smtpd[9]: improper command pipelining after EHLO from x[192.0.2.7]: postfix/x[1]: fatal",
        "postfix/x[1]: fatal: a line without a stamp",
    ],
)
def test_nothing_a_stranger_says_takes_an_apply_back(line: str) -> None:
    assert not list(breakdowns(service_lines(line)))
