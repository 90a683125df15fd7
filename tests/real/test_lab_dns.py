"""`mailctl dns check` in the lab: the system's resolver, port 53, the keys and the certificate that serve."""

from __future__ import annotations

import json

from mailctl.errors import ExitCode
from tests.real.lab_kit import Lab


def test_what_the_lab_publishes_is_fine_and_what_it_does_not_is_named(lab: Lab) -> None:
    done = lab.mailctl("dns", "check", "--json", "--timeout", "60", "-f", str(lab.spec_file))
    verdicts = json.loads(done.stdout)["verdicts"]
    found = {verdict["check"] for verdict in verdicts if verdict["domain"] == "example.org"}
    assert done.returncode == ExitCode.FAILED
    # MX, SPF and DKIM are in the lab's DNS; its addresses are those of documentation.
    assert found == {"mx-private", "dmarc-missing", "tlsrpt-missing", "srv-missing"}
    assert not any(verdict["level"] == "unknown" for verdict in verdicts if verdict["name"] == "example.org")
