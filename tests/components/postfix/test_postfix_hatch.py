"""The escape hatch: what would take all mail down or void a promise is refused, what is an administrator's is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailctl.components import postfix
from mailctl.components.postfix.cf import main_parameters
from mailctl.components.postfix.restrictions import KNOWN
from mailctl.errors import Problem, Severity, SpecError
from mailctl.spec.model import PostfixSettings, Spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

if TYPE_CHECKING:
    from tests.components.postfix.conftest import ScratchPostfix, SpecOf

SMTPD = Path("/usr/lib/postfix/sbin/smtpd")


def with_hatch(spec: Spec, main: dict[str, str] | None = None, master: dict[str, str] | None = None) -> Spec:
    return spec.model_copy(update={"postfix": PostfixSettings(main=main or {}, master=master or {})})


def refusals(spec: Spec) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        Tree.of(postfix.render(spec, DEBIAN_12))
    return caught.value.problems


def rendered_main_cf(spec: Spec) -> str:
    return Tree.of(postfix.render(spec, DEBIAN_12)).files[DEBIAN_12.postfix_dir / "main.cf"].content.decode()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("permit_mynetworks, reject_rbl_clint zen.spamhaus.org", "'reject_rbl_clint'"),
        ("permit_mynetwork permit", "'permit_mynetwork'"),
        ("reject_rbl_client", "reject_rbl_client needs a value"),
        ("check_client_access, reject", "check_client_access needs a table"),
        ("check_client_access bad-hosts", "'bad-hosts' after check_client_access"),
    ],
)
@pytest.mark.parametrize("place", ["main", "master", "named"])
def test_a_misspelt_restriction_is_refused(place: str, value: str, words: str, spec_of: SpecOf) -> None:
    hatch: dict[str, dict[str, str]] = {
        "main": {"main": {"smtpd_client_restrictions": value}},
        "master": {"master": {"2525/inet": f"n - n - - smtpd -o {{smtpd_client_restrictions = {value}}}"}},
        "named": {"main": {"smtpd_client_restrictions": "$my_list, permit", "my_list": value}},
    }[place]
    (problem, *_) = refusals(with_hatch(spec_of("minimal"), **hatch))
    assert words in problem.message


def test_a_misspelt_restriction_gets_a_suggestion(spec_of: SpecOf) -> None:
    (problem,) = refusals(
        with_hatch(spec_of("minimal"), {"smtpd_client_restrictions": "reject_rbl_clint zen.example.org"})
    )
    assert problem.hint == "did you mean 'reject_rbl_client'?"


@pytest.mark.parametrize(
    "value",
    [
        "permit_mynetworks, warn_if_reject reject_rbl_client zen.example.org=127.0.0.[2..11], sleep 1",
        "check_client_access static:OK",
        "check_client_access inline:{192.0.2.1=reject, 192.0.2.2=permit}, permit",
        "check_policy_service { inet:127.0.0.1:10031, timeout=10s, default_action=DUNNO } permit",
    ],
)
def test_a_good_restriction_list_passes(value: str, spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    assert scratch.problems(with_hatch(spec_of("minimal"), {"smtpd_client_restrictions": value})) == []


def test_a_restriction_class_is_known(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    main = {"smtpd_restriction_classes": "mine", "mine": "permit_mynetworks", "smtpd_client_restrictions": "mine"}
    assert scratch.problems(with_hatch(spec_of("backup-mx"), main)) == []
    (problem,) = refusals(with_hatch(spec_of("backup-mx"), main | {"mine": "permit_mynetwork"}))
    assert problem.path == "postfix.main.mine"


@pytest.mark.parametrize("word", sorted(KNOWN))
def test_this_postfix_knows_every_restriction_we_let_through(word: str) -> None:
    if not SMTPD.exists():
        pytest.skip(f"{SMTPD} is not installed")
    assert word.encode() + b"\0" in SMTPD.read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("header_checks", "regexp:/nonexist", "no file /nonexist"),
        ("header_checks", "regexp:/etc", "no file /etc"),
        ("header_checks", "regexp:/etc/passwd, pcre:/nonexist", "no file /nonexist"),
        ("body_checks", "proxy:hash:/etc/passwd", "no file /etc/passwd.db"),
        ("header_checks", "regex:/etc/passwd", "no table type 'regex'"),
        ("smtpd_client_restrictions", "check_client_access cidr:/nonexist", "no file /nonexist"),
        ("smtpd_client_restrictions", "check_client_access bogus:/x", "no table type 'bogus'"),
        ("canonical_maps", "unionmap:{static:x, hash:/nonexist}", "no file /nonexist.db"),
    ],
)
@pytest.mark.parametrize("place", ["main", "master"])
def test_a_missing_table_is_found(
    place: str, name: str, value: str, words: str, spec_of: SpecOf, scratch: ScratchPostfix
) -> None:
    service = f"- - n - - cleanup -o {{{name}={value}}}"
    hatch = {"main": {name: value}} if place == "main" else {"master": {"x/unix": service}}
    problems = scratch.problems(with_hatch(spec_of("minimal"), **hatch))
    assert any(words in problem.message for problem in problems), problems


UNSAFE = [
    ("smtpd_authorized_xclient_hosts", "0.0.0.0/0"),
    ("smtpd_authorized_xforward_hosts", "0.0.0.0/0"),
    ("receive_override_options", "no_milters"),
    ("smtpd_upstream_proxy_protocol", "haproxy"),
    ("qmqpd_authorized_clients", "0.0.0.0/0"),
    ("smtpd_reject_unlisted_recipient", "no"),
    ("daemon_directory", "/tmp"),
    ("shlib_directory", "/tmp"),
    ("command_execution_directory", "/"),
    ("allow_mail_to_commands", "alias, forward, include"),
    ("mailbox_command", "/bin/sh"),
    ("import_environment", "LD_PRELOAD=/tmp/x.so"),
    ("export_environment", "PATH=/tmp"),
    ("debugger_command", "/bin/sh"),
]
MANAGED = [
    ("smtpd_relay_restrictions", "permit"),
    ("smtpd_recipient_restrictions", "permit"),
    ("smtpd_sasl_auth_enable", "yes"),
    ("mynetworks", "0.0.0.0/0"),
    ("local_recipient_maps", "static:x"),
    ("tls_high_cipherlist", "ALL"),
    ("mailctl_tables", "/tmp"),
]


@pytest.mark.parametrize(("name", "value"), [*UNSAFE, *MANAGED])
def test_what_voids_a_promise_is_refused_everywhere(name: str, value: str, spec_of: SpecOf) -> None:
    (problem,) = refusals(with_hatch(spec_of("minimal"), {name: value}))
    assert (problem.path, bool(problem.hint)) == (f"postfix.main.{name}", True)
    for option in (f"-o {name}={value.split()[0]}", f"-v -o{name}=x", f"-o {{ {name} = {value} }}"):
        service = f"n - n - - smtpd -o syslog_name=postfix/x {option}"
        (problem,) = refusals(with_hatch(spec_of("minimal"), master={"20000/inet": service}))
        assert (problem.path, name in problem.message) == ("postfix.master.20000/inet", True)


@pytest.mark.parametrize("option", ["-S", "-n x", "-o syslog_name", "-vo x=y"])
def test_an_option_that_cannot_be_judged_is_refused(option: str, spec_of: SpecOf) -> None:
    (problem,) = refusals(with_hatch(spec_of("minimal"), master={"20000/inet": f"n - n - - smtpd {option}"}))
    assert "is not allowed" in problem.message


def test_a_filter_of_milters_is_refused_where_mail_is_signed(spec_of: SpecOf) -> None:
    setting = {"smtpd_milter_maps": "static:DISABLE"}
    (problem,) = refusals(with_hatch(spec_of("full"), setting))
    assert "dkim" in problem.hint
    assert rendered_main_cf(with_hatch(spec_of("minimal"), setting))


@pytest.mark.parametrize(
    "service",
    [
        "n - n - - smtpd -o syslog_name=postfix/x -o smtpd_client_auth_rate_limit=5 -v",
        "- n n - - pipe flags=R user=nobody argv=/usr/bin/filter -f ${sender} -o mynetworks=0.0.0.0/0 ${recipient}",
        "- - n - 2 smtp -o smtp_bind_address=192.0.2.1 -o {smtp_helo_name = mx1.example.org}",
    ],
)
def test_a_service_of_ones_own_passes(service: str, spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    kind = "inet" if "smtpd" in service else "unix"
    assert scratch.problems(with_hatch(spec_of("minimal"), master={f"20000/{kind}": service})) == []


def test_a_bad_value_of_an_option_is_found(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    service = "n - n - - smtpd -o smtpd_hard_error_limit=many"
    (problem,) = scratch.problems(with_hatch(spec_of("minimal"), master={"20000/inet": service}))
    assert problem.path == "postfix.master.20000/inet"
    assert "smtpd_hard_error_limit" in problem.message


def test_rates_and_queue_times_may_be_set_and_stand_once(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    settings = {"smtpd_client_auth_rate_limit": "100", "maximal_queue_lifetime": "10d", "delay_warning_time": "1h"}
    spec = with_hatch(spec_of("minimal"), settings)
    assert scratch.problems(spec) == []
    text = rendered_main_cf(spec)
    assert all(text.count(f"\n{name} = ") == 1 for name in settings)
    assert settings.items() <= main_parameters(text).items()
    (problem,) = scratch.problems(with_hatch(spec_of("minimal"), {"smtpd_client_auth_rate_limit": "many"}))
    assert problem.path == "postfix.main.smtpd_client_auth_rate_limit"


@pytest.mark.parametrize(
    ("case", "local", "reader"),
    [
        ("minimal", {}, "ali@example.org"),
        ("minimal", {"postmaster": "ops@example.net"}, "ops@example.net"),
        ("minimal", {"root": "ops@example.net"}, "ops@example.net"),
        ("relay", {}, None),
    ],
)
def test_system_mail_has_a_reader_or_a_warning(
    case: str, local: dict[str, str], reader: str | None, spec_of: SpecOf, scratch: ScratchPostfix
) -> None:
    spec = spec_of(case).model_copy(update={"local_aliases": local})
    warnings = [(each.path, each.severity) for each in scratch.problems(spec)]
    assert warnings == ([] if reader else [("local_aliases", Severity.WARNING)])
    found = scratch.look_up(scratch.write(spec), "aliases", "root", "postmaster", "abuse")
    assert found.pop("root", None) == reader
    assert found["abuse"] == "postmaster"
