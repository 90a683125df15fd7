"""Postfix: main.cf, master.cf and its lookup tables; see postconf(5), master(5), postmap(1).

Files   postfix/main.cf, postfix/master.cf, and one immutable directory of tables per generation
Checks  postconf -n, -M, -P, and what they let through
Reload  postfix reload; a restart where the master reads a setting only once
"""

from __future__ import annotations

from mailctl.components.base import always_enabled
from mailctl.components.postfix.build import build as build
from mailctl.components.postfix.check import check as check
from mailctl.components.postfix.files import render as render
from mailctl.components.postfix.map_types import missing as missing
from mailctl.components.postfix.service import NAME as NAME
from mailctl.components.postfix.service import action as action
from mailctl.components.postfix.service import daemon as daemon
from mailctl.components.postfix.service import perform as perform
from mailctl.components.postfix.service import verify as verify
from mailctl.spec.model import Spec
from mailctl.target import Target

enabled = always_enabled


def required_users(spec: Spec, target: Target) -> tuple[str, ...]:
    return (target.mail_owner,)


def required_programs(spec: Spec) -> tuple[str, ...]:
    return ("postfix", "postconf", "postmap", "postalias")
