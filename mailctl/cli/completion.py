"""mailctl completion: the script that makes a shell complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mailctl.cli.common import Session, common_options

SHELLS = ("bash", "zsh", "fish")
INSTALL = {
    "bash": "mailctl completion bash > /etc/bash_completion.d/mailctl",
    "zsh": 'mailctl completion zsh > "${fpath[1]}/_mailctl"',
    "fish": "mailctl completion fish > ~/.config/fish/completions/mailctl.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
@click.pass_obj
def completion(session: Session, shell: str) -> None:
    """Print the completion script for a shell; the first lines say where to put it."""
    from mailctl.cli import mailctl

    shell_class = get_completion_class(shell)
    assert shell_class is not None  # noqa: S101 - click ships these three
    complete = shell_class(mailctl, {}, "mailctl", "_MAILCTL_COMPLETE")
    # Not complete.source(): for bash that runs whatever bash is in PATH, to ask its version.
    script = complete.source_template % complete.source_vars()
    text = f"# To install: {INSTALL[shell]}\n{script.strip()}"
    session.emit(text, {"shell": shell, "script": text})
