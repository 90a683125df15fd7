"""mailctl schema: the JSON Schema of the spec."""

from __future__ import annotations

import json

import click

from mailctl.cli.common import Session, common_options


@click.command()
@common_options
@click.pass_obj
def schema(session: Session) -> None:
    """Print the JSON Schema of the spec, for editors.

    Save it as mailctl.schema.json beside the spec; the first line of the spec then tells the editor:
    # yaml-language-server: $schema=./mailctl.schema.json
    """
    from mailctl.spec.explain import json_schema

    # The schema is JSON either way; --json adds nothing around it, so that the output can be saved as it is.
    click.echo(json.dumps(json_schema(), indent=2))
