"""Proof that a mail server is safe: named checks, made over the network from outside."""

from mailctl.probe.catalogue import select_checks
from mailctl.probe.result import Report, Result, Verdict, render_result, render_totals
from mailctl.probe.suite import glance_at, probe_machine, probe_remote, probe_sandbox

__all__ = [
    "Report",
    "Result",
    "Verdict",
    "glance_at",
    "probe_machine",
    "probe_remote",
    "probe_sandbox",
    "render_result",
    "render_totals",
    "select_checks",
]
