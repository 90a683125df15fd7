"""What each format says about an ordinary day."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields, replace
from datetime import datetime

import pytest

from mailctl.maillog import summarise
from mailctl.maillog.anonymise import Anonymiser
from mailctl.maillog.formats import Format, Limits, Style, nagios, prom, render
from mailctl.maillog.formats.hours import blocks, series
from mailctl.maillog.formats.nagios import State, Threshold
from mailctl.maillog.formats.numbers import seconds, share, size
from mailctl.maillog.formats.problems import Urgency, find_problems, of_probes
from mailctl.maillog.report import DEFINITIONS, Delay, Hour, Lines, Report, Row, Totals
from tests.maillog.formats.samples import DAY

KEYS = ["format_version", "period", "lines", "totals", "by_hour", "senders", "sender_domains", "recipients"]
KEYS += ["recipient_domains", "relays", "rejects", "deferrals", "bounces", "dsn", "delay", "tls", "sasl", "warnings"]


def test_json_has_the_fixed_keys() -> None:
    data = json.loads(render(DAY, Format.JSON, Style()))
    assert list(data) == [*KEYS, "deliverability"]
    assert data["format_version"] == "1"
    assert data["period"]["first"] == "2026-11-21T00:00:03+00:00"
    assert data["senders"][0] == {"name": "ali@example.org", "messages": 320, "bytes": 40_000_000}
    assert data["by_hour"][1] == {
        "hour": "2026-11-21T01",
        "received": 49,
        "delivered": 61,
        "deferred": 3,
        "bounced": 1,
        "rejected": 61,
    }


def test_every_total_has_a_definition() -> None:
    assert list(DEFINITIONS) == [field.name for field in fields(Totals)]


def test_a_receiving_domain_shows_the_causes_of_its_deferrals() -> None:
    domains = json.loads(render(DAY, Format.JSON, Style()))["deliverability"]["domains"]
    assert domains[0]["causes"] == [{"name": "rate", "messages": 40}]
    for format_ in (Format.TEXT, Format.HTML):
        assert "40 we send too much, too fast" in render(DAY, format_, Style())


def test_text_shows_totals_hours_problems_and_lists_in_this_order() -> None:
    text = render(DAY, Format.TEXT, Style())
    places = [text.index(words) for words in ("Totals", "By hour", "Problems", "Deliverability", "Senders")]
    assert places == sorted(places)
    assert "3,120  412 MB" in text
    assert "█" in text


def test_problems_first_puts_them_before_the_totals() -> None:
    text = render(DAY, Format.TEXT, Style(problems_first=True))
    assert text.index("Problems") < text.index("Totals")


def test_problems_say_what_to_do_and_urgent_ones_come_first() -> None:
    found = find_problems(DAY)
    assert [finding.what for finding in found][:2] == ["rejected", "fatal"]
    assert all(finding.next_step for finding in found)
    refused = next(finding for finding in found if finding.what == "bounced" and "authenticated" in finding.why)
    assert "mailctl dns check" in refused.next_step


DOWN = """\
lmtp[1]: A00000000001: to=<a@o.example>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred \
(connect to mx1[private/dovecot-lmtp]: Connection refused)
smtp[1]: A00000000001: to=<a@o.example>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred \
(connect to 127.0.0.1[127.0.0.1]:10024: Connection refused)
smtpd[1]: warning: connect to Milter service unix:opendkim/opendkim.sock: No such file or directory
smtpd[1]: fatal: no SASL authentication mechanisms
"""


def test_own_services_that_are_down_are_named_in_the_problems_and_are_no_deliverability() -> None:
    report = summarise(f"2026-03-01T06:00:00+00:00 mx1 postfix/{line}" for line in DOWN.splitlines())
    found = find_problems(report)
    said = " ".join(f"{finding.why} {finding.rows}" for finding in found)
    assert [finding.urgency for finding in found] == [Urgency.CRITICAL, Urgency.CRITICAL, Urgency.WARNING]
    for words in ("private/dovecot-lmtp", "127.0.0.1]:10024", "OpenDKIM", "login service"):
        assert words in said
    assert not any("nc HOST" in finding.next_step for finding in found)
    assert report.deliverability.domains == ()


PROBED = """\
submission/smtpd[1]: NOQUEUE: reject: RCPT from unknown[{client}]: 553 5.7.1 <b@o.example>: Sender address rejected: \
not owned by user a@o.example; from=<b@o.example> to=<a@o.example> proto=ESMTP helo=<x>
submission/smtpd[1]: warning: unknown[{client}]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
"""


def probed(client: str, times: int) -> list[str]:
    lines = PROBED.format(client=client).splitlines() * times
    return [f"2026-03-01T06:00:00+00:00 mx1 postfix/{line}" for line in lines]


@pytest.mark.parametrize("client", ["198.51.100.2", "198.19.255.7", "2001:db8:1000::2", "2001:db8:1fff:8::9"])
def test_own_probes_are_counted_and_are_no_problem(client: str) -> None:
    report = summarise(probed(client, 30))
    assert (report.totals.rejected, report.totals.sasl_failures) == (30, 30)
    assert (report.rejects.by_client[0].name, report.sasl.by_client[0].name) == (client, client)
    for shown in (report, Anonymiser(b"key").report(report)):
        assert [finding.what for finding in find_problems(shown) if finding.urgency < Urgency.NOTICE] == []
        assert of_probes(shown) == "30 refusals and 30 failed logins of mailctl's own probes left out"
        for format_ in (Format.TEXT, Format.HTML):
            assert "failed logins of mailctl" in render(shown, format_, Style())


@pytest.mark.parametrize("client", ["198.51.100.4", "198.18.0.7", "198.190.0.7", "2001:db8:2000::2", "2001:db8::1"])
def test_others_who_do_the_same_as_a_probe_stay_a_problem(client: str) -> None:
    report = summarise([*probed(client, 25), *probed("198.19.0.9", 30)])
    found = {finding.what: finding for finding in find_problems(report)}
    assert (found["rejected"].count, found["failed logins"].count) == (25, 25)
    assert [row.name for row in found["failed logins"].rows] == [client]
    assert of_probes(summarise(probed(client, 25))) == ""


def test_no_advice_sends_to_the_command_that_may_be_printing_it() -> None:
    fault = replace(Report().rejects, by_class=(Row("smtpd RCPT: Server configuration error", 1),))
    report = replace(Report(), rejects=fault, warnings=(Row("qmgr: fatal: x", 1),))
    assert [finding.next_step for finding in find_problems(report) if "mailctl doctor" in finding.next_step] == []


def test_what_bounced_is_not_said_to_be_retried() -> None:
    rows = (Row("554 5.3.0 Error: transaction failed", 3), Row("Connection timed out", 1))
    report = replace(Report(), bounces=rows[:1], deferrals=rows[1:])
    found = {finding.what: finding for finding in find_problems(report)}
    assert "retries" not in found["bounced"].next_step
    assert "temporary" not in found["bounced"].why
    assert "retries" in found["deferred"].next_step


def test_ordinary_rejects_and_an_empty_report_are_no_problem() -> None:
    assert find_problems(Report()) == ()
    spam = replace(Report().rejects, by_class=(Row("smtpd RCPT: Relay access denied", 900),))
    assert find_problems(replace(Report(), rejects=spam)) == ()


def test_an_empty_log_is_said_to_be_empty() -> None:
    assert render(Report(), Format.TEXT, Style()).startswith("Mail report: the log is empty")


def test_empty_lists_are_hidden_on_request() -> None:
    quiet = Report(lines=Lines(1, 1))
    assert "Nothing to list: Senders; Recipients" in render(quiet, Format.TEXT, Style())
    assert "Senders" not in render(quiet, Format.TEXT, Style(hides_empty=True))


def test_a_limit_of_zero_leaves_the_lists_out() -> None:
    text = render(DAY, Format.TEXT, Style(limits=Limits(hosts=0, users=0)))
    assert "Senders " not in text
    assert "Deliverability" not in text
    assert "Rejected, by reply" in text


def test_more_names_than_shown_are_counted() -> None:
    report = replace(DAY, senders=tuple(Row(f"{number}@x.example", 1) for number in range(30)))
    assert "and 27 more" in render(report, Format.TEXT, Style(limits=Limits.all_of(3)))


def test_short_lists_stand_beside_each_other_where_there_is_room() -> None:
    assert "Senders" in next(line for line in render(DAY, Format.TEXT, Style()).splitlines() if "Recipients" in line)
    narrow = render(DAY, Format.TEXT, Style(width=80)).splitlines()
    assert "Senders" in narrow
    assert "Recipients" in narrow


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000])
def test_no_total_and_no_domain_is_cut_on_a_narrow_screen(factor: int) -> None:
    totals = Totals(**{name: number * factor for name, number in asdict(DAY.totals).items()})
    long = replace(DAY.deliverability.domains[0], domain=f"{'mail.' * 12}far.example")
    report = replace(DAY, totals=totals, deliverability=replace(DAY.deliverability, domains=(long,)))
    text = render(report, Format.TEXT, Style(width=80))
    overview = text.partition("\nProblems")[0]
    assert "…" not in overview
    assert max(map(len, text.splitlines())) <= 80
    for name in ("rejected_5xx", "rejected_4xx", "deferred_messages", "sasl_failures", "reinjected", "held"):
        assert f"{getattr(totals, name):,}" in overview
    assert long.domain in text


def test_one_is_not_several() -> None:
    one = dict.fromkeys(DEFINITIONS, 1)
    hours = (Hour("2026-03-01T16", received=1),)
    warned = (Row("smtpd: warning: x", 1),)
    text = render(
        Report(lines=Lines(1, 0, 1), totals=Totals(**one), by_hour=hours, warnings=warned), Format.TEXT, Style()
    )
    for words in (
        "1 line, 1 of them",
        "of 1 message",
        "1 bounce",
        "1 hand-over",
        "1 warning:",
        "1 line: not understood",
    ):
        assert f"{words}\n" in text or f"{words} " in text, words
    assert "By hour, from 2026-03-01 16:00 to 2026-03-01 17:00" in text
    assert "1 lines" not in render(Report(lines=Lines(1, 1)), Format.HTML, Style())


def test_csv_carries_every_total() -> None:
    rows = list(csv.reader(io.StringIO(render(DAY, Format.CSV, Style()))))
    assert rows[0] == ["section", "name", "value", "bytes"]
    assert ["totals", "received", "3120", ""] in rows
    assert ["relays", "private/dovecot-lmtp", "2300", "300000000"] in rows
    assert {row[1] for row in rows if row[0] == "totals"} == set(DEFINITIONS)


def test_counters_grow_by_each_report_and_never_go_back() -> None:
    once = prom.grown({}, DAY)
    twice = prom.grown(once, DAY)
    quiet = prom.grown(twice, Report())
    assert "postfix_smtpd_connects_total 6120" in prom.render(once, DAY).splitlines()
    assert "postfix_smtpd_connects_total 12240" in prom.render(twice, DAY).splitlines()
    assert {key: quiet[key] for key in twice} == twice


def test_a_message_that_moves_to_another_count_does_not_take_a_counter_back() -> None:
    sums: dict[str, int] = {}
    shown = []
    for received in (5, -2, 1, 4):
        sums = prom.grown(sums, Report(totals=Totals(received=received)))
        shown.append(sums["received\t"])
    assert shown == [5, 5, 5, 8]


def test_each_metric_has_one_help_and_one_type() -> None:
    lines = prom.render(prom.grown({}, DAY), DAY).splitlines()
    helps = [line.split()[2] for line in lines if line.startswith("# HELP")]
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert helps == types
    assert len(set(helps)) == len(helps)
    assert {line.split("{")[0].split()[0] for line in lines if not line.startswith("#")} == set(helps)


@pytest.mark.parametrize(
    ("text", "alerting", "quiet"),
    [
        ("10", [-1, 11], [0, 10]),
        ("10:", [9], [10, 99]),
        ("~:10", [11], [-99, 10]),
        ("10:20", [9, 21], [10, 20]),
        ("@10:20", [10, 15, 20], [9, 21]),
    ],
)
def test_thresholds_are_those_of_the_plugin_guidelines(text: str, alerting: list[float], quiet: list[float]) -> None:
    threshold = Threshold.parse(text)
    assert all(threshold.alerts(value) for value in alerting)
    assert not any(threshold.alerts(value) for value in quiet)


@pytest.mark.parametrize("text", ["", "@", "x", "20:10", "1:2:3", "5%"])
def test_a_wrong_threshold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"range|begins above"):
        Threshold.parse(text)


def test_nagios_takes_the_worst_state_and_names_the_reason() -> None:
    warning, critical = {"deferred": Threshold.parse("50")}, {"bounced": Threshold.parse("20")}
    line, state = nagios.render(DAY, warning, critical)
    assert state is State.CRITICAL
    assert line.startswith("MAIL CRITICAL - bounced is 23 (critical 20), deferred is 87 (warning 50) | received=3120;")
    assert " deferred=87;50;;0 " in line
    assert " delay_p95=6.0s;;;0 " in line


def test_nagios_is_well_without_thresholds_and_warns_of_an_empty_log() -> None:
    assert nagios.render(DAY, {}, {})[1] is State.OK
    line, state = nagios.render(Report(), {}, {})
    assert state is State.WARNING
    assert "no lines in the log" in line
    assert nagios.render(Report(), {}, {}, may_be_empty=True)[1] is State.OK


def test_hours_without_mail_are_part_of_the_series() -> None:
    found = series([Hour("2026-03-01T22", received=4), Hour("2026-03-02T01", received=1)], 50)
    assert found.counts["received"] == (4, 0, 0, 1)
    assert blocks(found.counts["received"]) == "█  ▂"


def test_a_long_period_is_drawn_in_wider_steps_from_midnight() -> None:
    hours = [Hour(f"2026-03-{day:02}T{hour:02}", received=1) for day in range(1, 29) for hour in range(24)]
    found = series(hours, 40)
    assert (found.step, len(found.starts)) == (24, 28)
    assert found.starts[0] == datetime(2026, 3, 1)
    assert set(found.counts["received"]) == {24}


def test_a_stamp_of_another_century_does_not_blow_the_chart_up() -> None:
    found = series([Hour("0001-01-01T00", received=1), Hour("2026-03-01T00", received=1)], 60)
    assert len(found.starts) <= 60
    assert found.counts["received"][-1] == 1


def test_numbers_are_readable() -> None:
    assert [size(0), size(999), size(1500), size(412_345_678)] == ["0 B", "999 B", "1.5 kB", "412 MB"]
    assert [seconds(None), seconds(0.4), seconds(90), seconds(7200), seconds(200_000)] == [
        "-",
        "0.4 s",
        "90 s",
        "2 h",
        "2.31 d",
    ]
    assert [share(0, 0), share(0, 9), share(9, 9), share(1, 100_000), share(99_999, 100_000)] == [
        "-",
        "0 %",
        "100 %",
        "<0.1 %",
        ">99.9 %",
    ]


def test_html_shows_the_numbers_and_can_be_empty() -> None:
    text = render(DAY, Format.HTML, Style())
    assert "3,120" in text
    assert "<svg" in text
    assert "None found." in render(Report(lines=Lines(1, 1)), Format.HTML, Style())


class TestAnonymised:
    key = b"0123456789abcdef"

    def test_no_address_login_or_client_of_ours_is_left(self) -> None:
        text = render(Anonymiser(self.key).report(DAY), Format.JSON, Style(limits=Limits.all_of(100)))
        for secret in ("ali@", "news@", "example.org", "203.0.113", "198.51.100", "slow.example", "example.net"):
            assert secret not in text

    def test_numbers_and_the_words_of_replies_stay(self) -> None:
        hidden = Anonymiser(self.key).report(DAY)
        assert hidden.totals == DAY.totals
        assert [row.messages for row in hidden.senders] == [row.messages for row in DAY.senders]
        assert hidden.bounces[0] == DAY.bounces[0]
        assert [finding.why for finding in find_problems(hidden)] == [finding.why for finding in find_problems(DAY)]

    def test_one_name_has_one_hash_and_another_key_another(self) -> None:
        first, again = Anonymiser(self.key).report(DAY), Anonymiser(self.key).report(DAY)
        assert first == again
        assert first.senders[0].name == first.recipients[0].name
        assert first.senders[0].name != Anonymiser(b"another key").report(DAY).senders[0].name

    @pytest.mark.parametrize(
        ("text", "secret"),
        [
            ("unknown[2001:db8::17]", "db8"),
            ("host mx.corp.example[192.0.2.9] said: 550 <bob@corp.example>: no", "corp"),
            ('<"a b"@corp.example>: no', "a b"),
            ("SASL LOGIN authentication failed for bob@corp.example", "bob"),
        ],
    )
    def test_free_text_loses_addresses_and_hosts(self, text: str, secret: str) -> None:
        assert secret not in Anonymiser(self.key).text(text)

    def test_a_login_that_is_no_address_is_hidden_and_a_port_is_no_address(self) -> None:
        text = Anonymiser(self.key).text("failed, sasl_username=admin, by [192.0.2.7]:25: 250 Ok")
        assert "admin" not in text
        assert text.endswith("]:25: 250 Ok")

    @pytest.mark.parametrize(
        "name",
        ["/etc/postfix/virtual.cdb", "hash:/etc/aliases.db", "/run/dovecot/lmtp.sock", "main.cf", "[127.0.0.1]:10024"],
    )
    def test_files_and_loopback_are_no_hosts(self, name: str) -> None:
        assert Anonymiser(self.key).text(f"open {name}: No such file") == f"open {name}: No such file"

    @pytest.mark.parametrize("text", ["/vhosts/corp.example/ali", "https://corp.example/x", "/ssl/mx.corp.example.pem"])
    def test_a_host_in_a_path_is_hidden(self, text: str) -> None:
        assert "corp" not in Anonymiser(self.key).text(text)

    def test_a_long_text_takes_linear_time(self) -> None:
        Anonymiser(self.key).text("/" + "a.db" * 200_000)
        Anonymiser(self.key).text("a" * 1_000_000)
        Anonymiser(self.key).text("a." * 500_000)
        Anonymiser(self.key).text("1.2." * 250_000)


def test_a_delay_without_deliveries_is_null_and_no_metric() -> None:
    assert json.loads(render(Report(), Format.JSON, Style()))["delay"]["p50"] is None
    assert "delay" not in prom.render(prom.grown({}, Report()), Report())
    assert Delay().max is None
