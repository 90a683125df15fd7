"""mailctl init: a first spec from a few answers."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click

from mailctl.cli.ask import ask
from mailctl.cli.common import Session, common_options
from mailctl.errors import MailctlError, UsageError
from mailctl.spec.choices import ROLES, Role

SCHEMA_NAME = "mailctl.schema.json"
SPEC_NAME = "mailctl.yml"
SELECTOR = "mail"


@dataclass(frozen=True, slots=True)
class FirstSpec:
    """What the template of a first spec needs; empty strings leave parts out."""

    hostname: str
    role: str
    domain: str
    mailbox: str
    certificate: str
    key: str
    selector: str = SELECTOR

    @property
    def has_mailboxes(self) -> bool:
        return self.role == Role.FULL

    @property
    def signs(self) -> bool:
        return self.role != Role.BACKUP_MX

    @property
    def recipients(self) -> bool:
        return self.role == Role.BACKUP_MX


@click.command()
@click.option("--hostname", metavar="FQDN", help="The server's full name.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="What the server is for.")
@click.option("--domain", metavar="DOMAIN", help="The first hosted domain.")
@click.option("--mailbox", metavar="LOCALPART", help="The first mailbox (role full).")
@click.option("--certificate", metavar="FILE", help="Certificate chain, PEM; self-signed where not given.")
@click.option("--key", metavar="FILE", help="Its private key, PEM.")
@common_options
@click.pass_obj
def init(
    session: Session,
    hostname: str | None,
    role: str | None,
    domain: str | None,
    mailbox: str | None,
    certificate: str | None,
    key: str | None,
) -> None:
    """Write a first spec, and the secrets it names, into this folder or beside `-f FILE`.

    Asks for what no option gives; with --no-input or -y takes the defaults. Never overwrites a file.
    """
    from mailctl.spec.values.addresses import parse_mailbox_name
    from mailctl.spec.values.domains import parse_domain

    spec_file = (session.spec_file or Path(SPEC_NAME)).absolute()
    _refuse_existing(spec_file)
    if (certificate is None) != (key is None):
        raise UsageError("--certificate and --key go together")
    answer = Questions(session)
    host_name = answer.ask("--hostname", hostname, "Full name of the server", _own_name(), parse_domain)
    if role is None and not answer.is_silent:
        session.say("\n".join(f"  {name:9}  {meaning}" for name, meaning in ROLES.items()))
    role = answer.ask("--role", role, "Role", Role.FULL, _parse_role)
    first_domain = answer.ask("--domain", domain, "First domain", _parent_domain(host_name), parse_domain)
    if mailbox is not None and role != Role.FULL:
        raise UsageError(f"--mailbox is for role full, not {role}")
    name = ""
    if role == Role.FULL:
        name = answer.ask("--mailbox", mailbox, "First mailbox", "admin", parse_mailbox_name)
    view = FirstSpec(host_name, role, first_domain, name, certificate or "", key or "")
    password = _write(session, spec_file, view)
    _report(session, spec_file, view, password)


class Questions:
    """Asks on the terminal, or takes the defaults where nobody is to be asked."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.is_silent = session.no_input or session.yes

    def ask(
        self, option: str, given: str | None, question: str, default: str | None, parse: Callable[[str], str]
    ) -> str:
        """A parsed answer; an option given is never asked for.

        Raises:
            UsageError: the option, or the default nobody could correct, is not valid; or nobody answers.
        """
        hint = f"give it with {option}"
        if given is None and not self.is_silent:
            return ask(self.session, question, hint, default=default, parse=parse)
        if given is None and default is None:
            raise UsageError(f"nobody is there to answer: {question}", hint)
        try:
            return parse(given or default or "")
        except ValueError as error:
            raise UsageError(f"{option}: {error}", "" if given else hint) from error


def _parse_role(text: str) -> str:
    if text not in {*Role}:
        raise ValueError(f"{text!r} is not a role; choose {', '.join(Role)}")
    return text


def _own_name() -> str | None:
    """The machine's fully qualified name, where it has one."""
    name = socket.getfqdn()
    return name if "." in name and not name.startswith("localhost") else None


def _parent_domain(hostname: str) -> str:
    parent = hostname.partition(".")[2]
    return parent if "." in parent else hostname


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise MailctlError(f"{path} exists already; nothing was written", hint="init never overwrites: use -f NEW.yml")


def _write(session: Session, spec_file: Path, view: FirstSpec) -> str:
    """Write the spec and the secret it names; returns the password made for the first mailbox."""
    from mailctl.host import LocalHost
    from mailctl.render import render_template
    from mailctl.spec.explain import json_schema
    from mailctl.spec.hash import hash_password

    spec_file.parent.mkdir(parents=True, exist_ok=True)
    folder = LocalHost(spec_file.parent)
    password = ""
    if view.mailbox:
        _refuse_existing(spec_file.parent / "secrets" / view.mailbox)
        password = secrets.token_urlsafe(15)
        folder.make_directory(PurePosixPath("/secrets"), 0o700)
        hashed = hash_password(session.host, password)
        folder.create(PurePosixPath("/secrets", view.mailbox), f"{hashed}\n".encode(), 0o600)
    folder.create(PurePosixPath("/", spec_file.name), render_template("init/mailctl.yml.j2", view), 0o644)
    # The first line of the spec names it, so that editors complete and check keys.
    if not (spec_file.parent / SCHEMA_NAME).exists():
        schema = json.dumps(json_schema(), indent=2, ensure_ascii=False)
        folder.create(PurePosixPath("/", SCHEMA_NAME), f"{schema}\n".encode(), 0o644)
    return password


def _report(session: Session, spec_file: Path, view: FirstSpec, password: str) -> None:
    lines = [f"wrote {spec_file}"]
    if password:
        lines += [
            f"wrote {spec_file.parent / 'secrets' / view.mailbox}",
            f"password of {view.mailbox}@{view.domain}, shown only now: {password}",
        ]
    option = f" -f {session.spec_file}" if session.spec_file else ""
    steps = {
        "validate": "every mistake at once",
        "lab up": "this very server in private, to try it",
        "plan": "what an apply would do",
        "apply": "make the server so",
        "dns records": "what to publish then",
    }
    lines += ["", "next:", *(f"  {f'mailctl {verb}{option}':<{27 + len(option)}}{why}" for verb, why in steps.items())]
    data = {"spec": str(spec_file), "mailbox": view.mailbox and f"{view.mailbox}@{view.domain}", "password": password}
    session.emit("\n".join(lines), data)
