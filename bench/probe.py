"""The whole probe and the fast one against a lab: wall time, and the CPU seconds of the machine; needs root.

python -m bench.probe
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench.arguments import parser
from mailctl.host import LocalHost
from mailctl.lab.lifecycle import bring_down, serve, start_lab
from mailctl.probe import probe_sandbox, select_checks
from mailctl.sandbox import Sandbox
from mailctl.spec.hash import Scheme, hash_password
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec

BUDGET = {False: 10.0, True: 5.0}  # seconds, whole and fast
TIMES = 3
SPEC = """
version: 1
server: {hostname: mx1.example.org}
tls: {certificate: /etc/ssl/mx1/fullchain.pem, key: /etc/ssl/mx1/privkey.pem}
domains:
  example.org:
    dkim: {selector: s2026a}
    mailboxes:
      ali: {password: {file: hash}, send_as: [info]}
      bob: {password: {file: hash}}
    aliases: {info: [ali], sales: [bob], team: [ali, bob, carol@partner.example]}
  example.net:
    catch_all: shop
    mailboxes: {shop: {password: {file: hash}}}
"""


def main() -> None:
    parser("bench.probe", __doc__).parse_args()
    host, name = LocalHost(), f"bench-probe-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as folder:
        spec_file = Path(folder) / "mail.yml"
        spec_file.write_text(SPEC)
        (Path(folder) / "hash").write_text(hash_password(host, "correct horse", Scheme.SHA512_CRYPT))
        spec = load_spec(spec_file)
        try:
            lab = start_lab(host, name, spec, spec_file, dies_with_us=True)
            serve(lab, spec, spec_file)
            for is_fast in (True, False):
                measure(lab, spec, is_fast)
            lab.stop()
        finally:
            bring_down(host, name)


def measure(lab: Sandbox, spec: Spec, is_fast: bool) -> None:
    """Print each of three runs: the first meets a server whose processes have yet to start."""
    for _ in range(TIMES):
        before = busy_seconds()
        report = probe_sandbox(lab, spec, select_checks(fast=is_fast))
        used = busy_seconds() - before
        attempts = sum(len(result.outcomes) for result in report.results)
        kind = "fast" if is_fast else "whole"
        print(
            f"{kind} probe: {report.seconds:5.2f} s (budget {BUDGET[is_fast]:g}), {attempts} attempts, safe: "
            f"{report.is_safe}; the machine was busy for {used:.1f} CPU seconds, load {os.getloadavg()[0]:.1f}"
        )


def busy_seconds() -> float:
    """CPU seconds of the whole machine so far; proc(5), /proc/stat."""
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
