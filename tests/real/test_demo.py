"""The demo from end to end: it stops at the first command that does not end as it should."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.sh"
SEEN = (
    "mailctl.yml: no problems",
    "No changes. The server is what the spec says.",
    "Subject: hello from outside",
    "DKIM signature: valid, made by example.org with selector s2026a",
    "through smtp.isp.example:587, TLSv1.3, login example",
    "550 5.1.1 <nobody@example.org>: Recipient address rejected",
    "554 5.7.1 <other@elsewhere.example>: Relay access denied",
    "553 5.7.1 <ali@example.org>: Sender address rejected: not owned by user bob@example.org",
    "552 5.2.2 <tiny@example.org>: Recipient address rejected: Mailbox is full",
    "~ mailbox tiny@example.org  quota 1M → 20M",
    "status=sent (250 2.0.0 <ali@example.org>",
)


@pytest.mark.real
def test_the_demo_runs_to_its_end(tmp_path: Path, require_root: None, require_tools: Callable[..., None]) -> None:
    require_tools("postfix", "dovecot", "opendkim")
    environment = os.environ | {"TMPDIR": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", DEMO], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [line for line in SEEN if line not in done.stdout] == []
    passwords = [file.read_text().strip() for file in next(tmp_path.glob("mailctl-demo.*/passwords")).iterdir()]
    assert [password for password in passwords if password in done.stdout + done.stderr] == []
