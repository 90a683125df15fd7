"""The command line of a benchmark: its docstring is its manual, as it is written."""

from __future__ import annotations

import argparse


def parser(module: str, manual: str | None) -> argparse.ArgumentParser:
    as_written = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=f"python -m {module}", description=manual, formatter_class=as_written)


def runs_from(module: str, manual: str | None, default: int) -> int:
    """Of a benchmark whose only argument is how often it measures."""
    known = parser(module, manual)
    known.add_argument("runs", type=int, nargs="?", default=default)
    runs: int = known.parse_args().runs
    return runs
