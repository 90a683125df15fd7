"""Certificates: the pairs the spec names are checked, a self-signed one is made once and kept; see openssl-x509(1ssl).

Files   none; STATE/tls/cert.pem and key.pem for `tls.self_signed`, outside generations
Checks  each pair exists, matches, is in date and carries the server's name
Reload  nothing: Postfix and Dovecot present it
"""

from __future__ import annotations

from collections.abc import Iterable

from mailctl.components.base import (
    Action,
    Daemon,
    ReloadKind,
    Staged,
    always_enabled,
    nothing_missing,
    nothing_to_verify,
)
from mailctl.components.certificate.pairs import check_pairs
from mailctl.components.certificate.self_signed import ensure_self_signed
from mailctl.errors import Problem
from mailctl.host import Host
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, RenderedFile, Tree

NAME = "Certificate"

enabled = always_enabled
missing = nothing_missing
verify = nothing_to_verify


def required_users(spec: Spec, target: Target) -> tuple[str, ...]:
    return ()


def required_programs(spec: Spec) -> tuple[str, ...]:
    return ("openssl",)


def render(spec: Spec, target: Target) -> Iterable[RenderedFile | RenderedDirectory]:
    return ()


def build(host: Host, spec: Spec, target: Target, tree: Tree) -> list[Problem]:
    if spec.tls.self_signed:
        ensure_self_signed(host, target, spec.server.hostname)
    return []


def check(host: Host, spec: Spec, target: Target, staged: Staged) -> list[Problem]:
    # Keys are readable by root only, and under --root the certificates of the live host are not there.
    return check_pairs(host, spec, target) if host.is_live() and host.is_root() else []


def daemon(target: Target) -> Daemon | None:
    return None


def action(before: Tree, after: Tree) -> Action:
    return Action(NAME, ReloadKind.NOTHING)


def perform(host: Host, target: Target, action: Action) -> None:
    """Nothing runs here."""
