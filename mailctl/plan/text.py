"""A plan for review: effects in mail terms, then files, then one line of totals.

Lines are plain; the first character of each tells its kind (`+`, `~`, `-`, or four spaces before a diff),
so that the command line can colour them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from mailctl.components.base import Action as ServiceAction
from mailctl.errors import Severity, printable
from mailctl.plan.diff import count_rows, diff_lines, is_rewritten
from mailctl.plan.model import Action, Change, DirectoryChange, Effect, Plan
from mailctl.tree import RenderedDirectory, RenderedFile

# Without -v; a first apply of a big server would otherwise scroll for minutes.
MOST_EFFECTS = 20
MOST_LINES = 40
NOTHING_TO_DO = "No changes. The server is what the spec says."


def render_text(plan: Plan, verbose: bool = False) -> str:
    """Effects, file diffs (secrets not shown), notes, and exactly one summary line, which comes last."""
    effects = list(_effects(plan.effects, verbose))
    files = [
        *map(_directory, plan.directories),
        *(line for change in plan.changes for line in _file(change, verbose)),
    ]
    blocks = [effects, files, list(_notes(plan)), [render_summary(plan)]]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def render_summary(plan: Plan) -> str:
    """`Plan: 1 to add, 2 to change, 1 to remove. Postfix: reload.`"""
    if plan.is_empty:
        return NOTHING_TO_DO
    what = "" if plan.effects else "files: "
    counts = ", ".join(f"{plan.counts[action]} to {action.value}" for action in Action)
    services = "".join(f" {_service(action)}." for action in plan.pending_services)
    return f"Plan: {what}{counts}.{services}"


def describe_effect(effect: Effect) -> str:
    """`+ mailbox carol@example.org  quota 2G  mailctl.yml:19`."""
    where = f"{effect.origin.file}:{effect.origin.line}" if effect.origin and effect.origin.line else ""
    parts = [f"{effect.action.marker} {effect.kind} {effect.name}", effect.detail, where]
    return printable("  ".join(filter(None, parts)))


def _effects(effects: Sequence[Effect], verbose: bool) -> Iterator[str]:
    for (kind, action), group in groupby(effects, key=lambda effect: (effect.kind, effect.action)):
        same = list(group)
        shown = same if verbose or len(same) <= MOST_EFFECTS else same[: MOST_EFFECTS // 2]
        yield from map(describe_effect, shown)
        if len(shown) < len(same):
            yield f"{action.marker} {kind}: {len(same) - len(shown):,} more (-v shows all)"


def _directory(change: DirectoryChange) -> str:
    return f"{change.action.marker} directory {change.after.path}  {_permissions(change.before, change.after)}"


def _file(change: Change, verbose: bool) -> Iterator[str]:
    lines = diff_lines(change) if change.action is Action.CHANGE or verbose else []
    hides_diff = len(lines) > MOST_LINES and not verbose and is_rewritten(change)
    note = _rewritten_note(change) if hides_diff else _content_note(change, verbose)
    yield "  ".join(
        filter(None, (f"{change.action.marker} {change.name}", note, _permissions(change.before, change.after)))
    )
    if not hides_diff:
        yield from _trimmed(lines, verbose)


def _rewritten_note(change: Change) -> str:
    old, new = (file.content.count(b"\n") if file else 0 for file in (change.before, change.after))
    return f"(rewritten: {_count(old, 'line')} → {new:,}; -v shows the diff)"


def _content_note(change: Change, verbose: bool) -> str:
    """What the heading says of the content, where the lines below do not."""
    if change.before and change.after and change.before.content == change.after.content:
        return ""
    rows = sum(count_rows(change))
    if change.is_secret:
        changed = " changed" if change.action is Action.CHANGE else ""
        return f"(secret: {_count(max(count_rows(change)), 'row')}{changed}, not shown)"
    if change.is_table and change.action is Action.CHANGE:
        return f"(table: {_count(rows, 'row')})"
    if change.action is Action.CHANGE or verbose:
        return ""
    lines = change.file.content.count(b"\n")
    return f"({_count(rows, 'row') if change.is_table else _count(lines, 'line')})"


def _permissions(
    before: RenderedFile | RenderedDirectory | None, after: RenderedFile | RenderedDirectory | None
) -> str:
    if after is None:
        return ""
    if before is None:
        return _owner_and_mode(after)
    old, new = _owner_and_mode(before), _owner_and_mode(after)
    return "" if old == new else f"{old} → {new}"


def _owner_and_mode(item: RenderedFile | RenderedDirectory) -> str:
    return f"{item.mode:04o} {item.owner}:{item.group}".removesuffix(" :")


def _trimmed(lines: Sequence[str], verbose: bool) -> Iterable[str]:
    shown = lines if verbose or len(lines) <= MOST_LINES else lines[: MOST_LINES // 2]
    rest = len(lines) - len(shown)
    return [*(f"    {line}" for line in shown), *([f"    {rest:,} more lines (-v shows all)"] if rest else [])]


def _notes(plan: Plan) -> Iterator[str]:
    for problem in plan.problems:
        label = "note" if problem.severity is Severity.WARNING else "error"
        yield printable(f"{label}: {problem.origin}: {problem.message}")
        if problem.hint:
            yield printable(f"    hint: {problem.hint}")


def _service(action: ServiceAction) -> str:
    reason = f" ({action.reason})" if action.reason else ""
    return printable(f"{action.service}: {action.kind.value}{reason}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
