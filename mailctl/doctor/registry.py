"""Every check, in the order of the screen: what others rest on comes first."""

from __future__ import annotations

from mailctl.doctor.checks import (
    certificates,
    clock,
    disk,
    domain_names,
    drift,
    environment,
    log,
    ports,
    queue,
    services,
    signing_keys,
)
from mailctl.doctor.model import Check, with_spec

CHECKS = (
    Check("environment", environment.look, needs_live=False),
    Check("services", services.look, needs_root=True),
    Check("ports", with_spec(ports.look), needs_applied=True),
    Check("drift", drift.look, needs_root=True, needs_live=False),
    Check("certificates", with_spec(certificates.look), needs_live=False),
    Check("dkim", with_spec(signing_keys.look), needs_root=True, needs_live=False),
    Check("dns", with_spec(domain_names.look)),
    Check("queue", queue.look),
    Check("log", log.look),
    Check("disk", disk.look),
    Check("clock", clock.look),
)
