"""The files of Postfix, rendered: the tables first, for main.cf names their directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mailctl.components.postfix import escape, routing
from mailctl.components.postfix.cf import main_parameters, master_services
from mailctl.components.postfix.main_cf import ADJUSTABLE, MainCf
from mailctl.components.postfix.master_cf import MasterCf
from mailctl.components.postfix.tables import all_tables, render_tables, table_directory
from mailctl.errors import Problem, SpecError
from mailctl.render import render_template
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, RenderedFile

MAIN_CF = "main.cf"
MASTER_CF = "master.cf"


def render(spec: Spec, target: Target) -> Iterator[RenderedFile | RenderedDirectory]:
    """main.cf, master.cf and the sources of the tables.

    Raises:
        SpecError: a relay, a route or the escape hatch asks for what Postfix would not do.
    """
    _refuse(routing.problems(spec))
    tables = all_tables(spec)
    directory = table_directory(tables, target)
    main = MainCf.from_spec(spec, target, tables, directory)
    master = MasterCf.from_spec(spec)
    _refuse(_escape_problems(spec, main, master))
    # Postfix makes it when it starts, but Dovecot, which listens in it, starts first.
    yield RenderedDirectory(target.postfix_queue_dir / "private", 0o700, target.mail_owner)
    yield from render_tables(tables, directory)
    yield RenderedFile(target.postfix_dir / MAIN_CF, render_template("postfix/main.cf.j2", main))
    yield RenderedFile(target.postfix_dir / MASTER_CF, render_template("postfix/master.cf.j2", master))


def _escape_problems(spec: Spec, main: MainCf, master: MasterCf) -> list[Problem]:
    if not spec.postfix.main and not spec.postfix.master:
        return []
    ours = render_template("postfix/main.cf.j2", replace(main, extra=()))
    services = render_template("postfix/master.cf.j2", replace(master, extra=()))
    fixed = main_parameters(ours.decode()).keys() - ADJUSTABLE
    return escape.problems(spec, fixed, master_services(services.decode()))


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise SpecError("the spec asks Postfix for what it would not do", problems=problems)
