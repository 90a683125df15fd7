"""What the terminal can show."""

from __future__ import annotations

import shutil
import sys

import click

from mailctl.errors import printable

WIDTH = 100
"""Columns where no terminal says how many it has: mail programs and browsers show these."""


def terminal() -> tuple[int, bool]:
    """Columns, and whether to use colours: as --color says, else where somebody looks."""
    is_terminal = sys.stdout.isatty()
    color = click.get_current_context().color
    # COLUMNS goes before what the terminal says, and counts without one.
    return shutil.get_terminal_size((WIDTH, 24)).columns, is_terminal if color is None else color


def printable_lines(text: str) -> str:
    """`text` made safe for a terminal, its line ends kept."""
    return "\n".join(map(printable, text.split("\n")))
