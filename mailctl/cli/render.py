"""mailctl render: the configuration files, in a folder."""

from __future__ import annotations

from pathlib import Path

import click

from mailctl.cli.common import Session, common_options


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR", help="Where to."
)
@common_options
@click.pass_obj
def render(session: Session, output: Path) -> None:
    """Write every file the spec makes below DIR, as it would lie below /.

    Files get their modes; their owners are in DIR/mailctl-manifest.json. DIR must be new, empty, or an
    earlier render, which is replaced. Indexed tables and keys are not made. Needs neither root nor Postfix.
    """
    from mailctl.components.registry import render_tree
    from mailctl.host import LocalHost
    from mailctl.plan.folder import write_tree

    tree = render_tree(session.load_spec(), session.target())
    write_tree(LocalHost(output.absolute()), tree)
    data = {"folder": str(output), "files": [str(file.path) for file in tree]}
    session.emit(f"{len(tree)} files below {output}", data)
