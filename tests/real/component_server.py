"""A sandbox in which single components run for real: their files, sockets and log."""

from __future__ import annotations

import sys
from pathlib import Path

from mailctl.sandbox import Sandbox, Settings

CHECKOUT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("install_components.py")
MAIL_LOG = "/var/log/mail.log"


def settings_for(hostname: str, *visible: Path) -> Settings:
    folders = tuple(str(path) for path in (CHECKOUT, *visible))
    return Settings(hostname, visible=folders, empty=("/var/spool/postfix", "/var/vmail"), users=("vmail",))


def install(server: Sandbox, spec_file: Path, *components: str) -> str:
    """Put `components` of the spec in force; their problems as text, empty when all is well."""
    done = server.run([sys.executable, SCRIPT, spec_file, *components])
    assert done.returncode == 0, done.complaint
    return done.stdout.decode()


def log_of(server: Sandbox) -> str:
    return server.path(MAIL_LOG).read_text()
