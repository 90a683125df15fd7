"""Checking staged files: postconf's own words, and what it lets through.

`postfix check` is left to the canary: it looks at the permissions of the running system, complains only on a
terminal, and may create directories on the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from mailctl.components.base import Staged
from mailctl.components.postfix.cf import main_parameters, master_services
from mailctl.components.postfix.files import MAIN_CF, MASTER_CF
from mailctl.components.postfix.hatch_tables import hatch_table_problems
from mailctl.components.postfix.routing import credentials
from mailctl.components.postfix.settings import command, hatch_settings
from mailctl.components.postfix.table import TableKind
from mailctl.components.postfix.tables import all_tables, system_mail_reader
from mailctl.errors import Origin, Problem, Severity
from mailctl.host import Host
from mailctl.spec.model import Spec
from mailctl.target import Target

POSTCONF_CHECKS = (("-n", MAIN_CF), ("-M", MASTER_CF), ("-P", MASTER_CF))
SASL_FOLDERS = PurePosixPath("/usr/lib")

_BOOLEAN = re.compile(r"yes|no")
_NUMBER = re.compile(r"\d+")
_TIME = re.compile(r"\d+[smhdw]")


def check(host: Host, spec: Spec, target: Target, staged: Staged) -> list[Problem]:
    """What is wrong with the staged files; an empty list means that Postfix would start with them."""
    folder = staged.path(target.postfix_dir)
    return [
        *_postconf_problems(host, spec, target, folder),
        *_value_problems(host, spec),
        *hatch_table_problems(host, spec),
        *_command_problems(host, spec, target, staged),
        *_table_type_problems(host, spec, target),
        *_sasl_problems(host, spec),
        *_unread_mail_warnings(spec),
    ]


def _postconf_problems(host: Host, spec: Spec, target: Target, folder: PurePosixPath) -> Iterator[Problem]:
    seen: set[str] = set()
    for option, name in POSTCONF_CHECKS:
        # postconf only warns about what it does not know, and exits 0: any word on stderr is a problem.
        done = host.run(["postconf", "-c", host.path(folder), option])
        lines = done.stderr.decode(errors="replace").splitlines()
        if done.returncode and not lines:
            lines = [f"postconf {option} ended with status {done.returncode}"]
        for line in lines:
            if line not in seen:
                seen.add(line)
                yield _postconf_problem(spec, target.postfix_dir / name, line)


def _postconf_problem(spec: Spec, path: PurePosixPath, line: str) -> Problem:
    unused = re.search(r"unused parameter: (\w+)=", line)
    if not unused:
        return Problem(Origin(str(path)), path.name, line)
    name = unused[1]
    message = f"this Postfix knows no parameter {name!r}"
    if name in spec.postfix.main:
        origin = spec.origins.find_key(("postfix", "main", name))
        return Problem(origin, f"postfix.main.{name}", message, hint="see postconf(5)")
    return Problem(Origin(str(path)), path.name, message, hint="install the security updates of your distribution")


def _value_problems(host: Host, spec: Spec) -> Iterator[Problem]:
    """postconf lets a bad boolean through, and a bad number only smtpd reads; smtpd then answers 451 to all."""
    settings = hatch_settings(spec)
    if not settings:
        return
    # Expanded, for many defaults depend on the load: ${stress?{1}:{20}}.
    done = host.run(["postconf", "-d", "-x", *sorted({setting.name for setting in settings})])
    defaults = main_parameters(done.stdout.decode())
    for setting in settings:
        expected = _expected_form(defaults.get(setting.name, ""))
        if expected and "$" not in setting.value and not expected[0].fullmatch(setting.value):
            message = f"{setting.value!r} for {setting.name} is not {expected[1]}"
            yield setting.value_problem(message, f"the default is {defaults[setting.name]}")


def _expected_form(default: str) -> tuple[re.Pattern[str], str] | None:
    """What a parameter with this default takes; None where its default does not tell."""
    if _BOOLEAN.fullmatch(default):
        return _BOOLEAN, "yes or no"
    if _TIME.fullmatch(default):
        return re.compile(r"\d+[smhdw]?"), "a time such as 300s"
    return (_NUMBER, "a number") if _NUMBER.fullmatch(default) else None


def _command_problems(host: Host, spec: Spec, target: Target, staged: Staged) -> Iterator[Problem]:
    if not spec.postfix.master:
        return
    daemons = host.run(["postconf", "-h", "daemon_directory"]).stdout.decode().strip()
    rendered = staged.tree.files[target.postfix_dir / MASTER_CF].content.decode()
    services = master_services(rendered)
    for key in spec.postfix.master:
        daemon = command(services[key])
        if host.find_program(f"{daemons}/{daemon}") is None:
            origin = spec.origin("postfix", "master", key)
            yield Problem(
                origin, f"postfix.master.{key}", f"Postfix has no daemon {daemon!r}", hint=f"looked in {daemons}"
            )


def _table_type_problems(host: Host, spec: Spec, target: Target) -> Iterator[Problem]:
    offered = host.run(["postconf", "-m"]).stdout.decode().split()
    for missing in sorted({table.table_type(target) for table in all_tables(spec)} - set(offered)):
        package = f"apt-get install postfix-{missing}" if missing != TableKind.TEXT else ""
        yield Problem(
            Origin(str(target.postfix_dir / MAIN_CF)), "", f"Postfix has no table type {missing!r}", hint=package
        )


def _sasl_problems(host: Host, spec: Spec) -> Iterator[Problem]:
    if not credentials(spec):
        return
    folders = [SASL_FOLDERS, *(SASL_FOLDERS / name for name in host.list_directory(SASL_FOLDERS))]
    if not any("libplain.so" in host.list_directory(folder / "sasl2") for folder in folders):
        yield Problem(
            spec.origin("relays"),
            "relays",
            "Postfix cannot log in at relays: the SASL client plug-ins are missing",
            hint="apt-get install libsasl2-modules",
        )


def _unread_mail_warnings(spec: Spec) -> Iterator[Problem]:
    if "root" not in spec.local_aliases and system_mail_reader(spec) is None:
        yield Problem(
            spec.origin("local_aliases"),
            "local_aliases",
            "nobody reads mail to root and postmaster of this server: it stays in root's own mail file",
            hint="local_aliases: {root: you@example.org}",
            severity=Severity.WARNING,
        )
