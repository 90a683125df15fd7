"""`mailctl route` against the server itself: it answers, delivers and is configured as route says."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from lab_kit import Lab

from mailctl.route import Mail, RenderedServer, trace
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12

pytestmark = pytest.mark.real

SOURCES = (f"192.0.2.{number}" for number in range(100, 200))  # rates count per client
STRANGER = "someone@client.example"
RECIPIENTS = [
    "ali@example.org",
    "ali+lists@example.org",
    "info@example.org",
    "ticket-12@example.org",
    "ticket-x@example.org",
    "app@example.org",
    "abuse@example.org",
    "nobody@example.org",
    "anything@example.net",
    "jobs+a@example.net",
    "nobody@news.example.org",
    "root@mx1.example.org",
    "bob@elsewhere.example",
    "bob@partner.example",
    "bob@sub.example.org",
]
IDENTITIES = [
    (STRANGER, ""),
    ("", ""),
    ("nobody@example.org", ""),
    ("ali@example.org", "ali@example.org"),
    ("info@example.org", "ali@example.org"),
    ("info+x@example.org", "ali@example.org"),
    ("info@example.org", "bob@example.org"),
    ("ticket-7@example.org", "ali@example.org"),
    ("ticket-7@example.org", "bob@example.org"),
    ("anything@example.net", "shop@example.net"),
    ("shop@example.net", "jobs@example.net"),
    ("app@example.org", "app@example.org"),
    ("someone@client.example", "ali@example.org"),
    ("", "ali@example.org"),
]


def test_the_server_answers_as_route_says(lab: Lab) -> None:
    """One dialogue per identity; each recipient gets the code and the enhanced status code that route names."""
    spec = load_spec(lab.spec_file)
    server = RenderedServer(spec, DEBIAN_12)

    def said(sender: str, login: str) -> dict[str, str]:
        return {to: trace(spec, DEBIAN_12, server, Mail(to, sender or "<>", login)).reply for to in RECIPIENTS}

    # Side by side, for each refusal costs the client a second.
    with ThreadPoolExecutor(len(IDENTITIES)) as pool:
        answered = dict(zip(IDENTITIES, pool.map(partial(_answers, lab), IDENTITIES), strict=True))
    assert answered == {identity: said(*identity) for identity in IDENTITIES}


def _answers(lab: Lab, identity: tuple[str, str]) -> dict[str, str]:
    sender, login = identity
    submit = partial(lab.submit, login, sender=sender or "<>") if login else partial(lab.send, sender)
    outcome = submit(*RECIPIENTS, source=next(SOURCES))
    replies = outcome.replies.items()
    return {to: "" if reply.is_success else f"{reply.code} {reply.text.split()[0]}" for to, reply in replies}


@pytest.mark.parametrize(
    ("recipient", "login"),
    [
        ("team@example.org", ""),
        ("info+tag@example.org", ""),
        ("whoever@example.net", ""),
        ("root@mx1.example.org", ""),
        ("friend@outside.example", "ali@example.org"),
        ("friend@outside.example", "editor@news.example.org"),
        ("host@intra.example.org", "editor@news.example.org"),
    ],
)
def test_mail_arrives_where_route_says(lab: Lab, recipient: str, login: str) -> None:
    spec = load_spec(lab.spec_file)
    sender = login or STRANGER
    journey = trace(spec, DEBIAN_12, RenderedServer(spec, DEBIAN_12), Mail(recipient, sender, login))
    outcome = lab.submit(login, recipient, source=next(SOURCES)) if login else lab.send(STRANGER, recipient)
    assert outcome.is_accepted, outcome
    wanted = {each.address: _agent(each.transport) for each in journey.deliveries}

    def delivered() -> dict[str, str] | None:
        found = _sent(lab.log(), outcome.queue_id)
        return found if found.keys() >= wanted.keys() else None

    assert wanted
    assert lab.wait_for(delivered, f"not everything of {outcome.queue_id} was delivered") == wanted
    hops = {hop.next_hop.split("]")[0].strip("[") for each in journey.deliveries for hop in each.hops[:1]}
    log = "\n".join(line for line in lab.log().splitlines() if outcome.queue_id in line)
    for hop in hops - {"outside.example", "10.0.0.5"}:
        assert f"relay={hop}[" in log


def test_live_agrees_after_an_apply(lab: Lab) -> None:
    done = lab.mailctl("-f", str(lab.spec_file), "route", "team@example.org", "--login", "bob@example.org", "--live")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The server does as the spec says." in done.stdout


def test_live_names_what_the_server_does_otherwise(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The spec moved on, the server did not."""
    changed = lab.spec_file.with_name("changed.yml")
    text = lab.spec_file.read_text()
    changed.write_text(text.replace("info: [ali]", "info: [bob]").replace("{to: [partner.example], via: isp}", ""))
    changed.write_text(re.sub(r"^  - \n", "", changed.read_text(), flags=re.MULTILINE))
    alias = lab.mailctl("--json", "-f", str(changed), "route", "info@example.org", "--live")
    assert alias.returncode == 1, alias.stdout + alias.stderr
    (row,) = [each for each in json.loads(alias.stdout)["differences"] if each["kind"] == "alias"]
    assert (row["spec"], row["server"]) == ("becomes bob@example.org", "becomes ali@example.org")
    assert row["line"] == text.split("info: [ali]")[0].count("\n") + 1
    transport = lab.mailctl("-f", str(changed), "route", "x@partner.example", "--login", "bob@example.org", "--live")
    assert transport.returncode == 1
    assert "  server     smtp to [smtp.isp.example]:587" in transport.stdout
    changed.unlink()


def _agent(transport: str) -> str:
    return transport.partition(":")[0]


def _sent(log: str, queue_id: str) -> dict[str, str]:
    """The final recipients and the delivery agents of a message, through what local(8) passed on under a new id."""
    found: dict[str, str] = {}
    ids = [queue_id]
    for identity in ids:
        for agent, rest in re.findall(rf"postfix/(?:[\w-]+/)?(\w+)\[\d+\]: {identity}: (to=<.*status=sent.*)", log):
            forwarded = re.search(r"forwarded as (\w+)", rest)
            if forwarded:
                ids.append(forwarded[1])
            else:
                found[rest[4 : rest.index(">")]] = agent
    return found
