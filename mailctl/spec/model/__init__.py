"""The spec, version 1: what an administrator may write, typed by pydantic.

Descriptions and `renders` notes here are what `mailctl explain` and the JSON Schema show.
A rule about one record is a validator here; a rule across records is in the `*rules.py` beside this package.
"""

from mailctl.spec.model.domains import Dkim, DomainRecord, Mailbox
from mailctl.spec.model.relays import DIRECT, InternalRelay, Relay, Route
from mailctl.spec.model.server import Server
from mailctl.spec.model.spec import PostfixSettings, Spec

__all__ = [
    "DIRECT",
    "Dkim",
    "DomainRecord",
    "InternalRelay",
    "Mailbox",
    "PostfixSettings",
    "Relay",
    "Route",
    "Server",
    "Spec",
]
