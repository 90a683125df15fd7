"""The whole probe against a server of each role: nothing fails, and what the role has is not skipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.probe import Verdict
from tests.real.probe_lab import SPEC, started_lab

pytestmark = pytest.mark.real

HOST = "{hostname: mx1.example.org}"
HOLDS = {
    "send-only": {
        "relay.stranger", "relay.after-failed-auth", "auth.offered", "auth.rate", "auth.same-answer",
        "identity.neighbour", "identity.tables", "tls.mozilla-intermediate", "tls.certificate",
        "signing.leaves-signed", "signing.asked", "smuggling.outbound", "closed.signer", "closed.dovecot",
    },
    "relay": {
        "relay.stranger", "relay.source-route-host", "relay.xclient", "auth.not-offered-25", "auth.not-taken-25",
        "enumeration.expn", "enumeration.banner", "tls.internet-nl", "signing.signer", "signing.signer-strangers",
    },
    "backup-mx": {
        "relay.stranger", "relay.subdomain", "relay.second-recipient", "relay.after-reset", "relay.orcpt",
        "auth.not-offered-25", "enumeration.vrfy", "tls.internet-nl", "delivery.mailbox", "smuggling.inbound",
    },
}  # fmt: skip


@pytest.mark.parametrize("role", HOLDS)
def test_a_server_of_this_role_is_safe(
    role: str, require_root: None, require_tools: Callable[..., None], tmp_path: Path
) -> None:
    require_tools("postfix", "dovecot", "opendkim", "openssl")
    with started_lab(
        f"probe-{role}", tmp_path, SPEC.replace(HOST, f"{{hostname: mx1.example.org, role: {role}}}")
    ) as lab:
        report = lab.probe()
    faults = [
        (each.name, each.decisive[0].note) for each in report.results if each.verdict in (Verdict.FAIL, Verdict.WARN)
    ]
    assert faults == []
    assert HOLDS[role] - {each.name for each in report.results if each.verdict is Verdict.OK} == set()
