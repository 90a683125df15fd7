"""The unit that ends a broken apply when the machine starts, before any mail service reads its files."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from mailctl.components.service import has_systemd, run
from mailctl.host import Host, create_whole
from mailctl.sandbox.launch import PACKAGE_PARENT, python_module
from mailctl.target import Target

UNIT = PurePosixPath("/etc/systemd/system/mailctl-recover.service")
TEMPLATE = """\
# Written by mailctl.
[Unit]
Description=End an apply of mailctl that was interrupted
RequiresMountsFor={state}
After=local-fs.target
Before=opendkim.service dovecot.service postfix.service postfix@-.service
ConditionPathExistsGlob={state}/journal/*.jsonl

[Service]
Type=oneshot
Environment=PYTHONPATH={package}
ExecStart={command}

[Install]
WantedBy=multi-user.target
"""


def render_unit(target: Target) -> bytes:
    """The unit file; see systemd.unit(5)."""
    command = shlex.join(python_module("mailctl", "recover", "--at-boot"))
    return TEMPLATE.format(state=target.state_dir, package=PACKAGE_PARENT, command=command).encode()


def install_unit(host: Host, target: Target) -> None:
    """Write and enable the unit where systemd runs; nothing happens where it stands already.

    Raises:
        MailctlError: systemd refused it.
    """
    if not host.is_live() or not has_systemd(host) or host.read(UNIT) == render_unit(target):
        return
    create_whole(host, UNIT, render_unit(target), 0o644)
    run(host, ["systemctl", "enable", "--quiet", UNIT.name], f"{UNIT.name} could not be enabled")
