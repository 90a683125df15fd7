"""A plan for programs: the same content as the text, complete, with stable keys."""

from __future__ import annotations

from typing import Any

from mailctl.plan.diff import count_rows, diff_lines
from mailctl.plan.model import Action, Change, DirectoryChange, Effect, Plan
from mailctl.plan.text import render_summary
from mailctl.tree import RenderedDirectory, RenderedFile


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """The values of one JSON object; `diff` is null for a secret."""
    return {
        "empty": plan.is_empty,
        "generation": plan.number,
        "digest": plan.digest,
        "effects": [_effect(each) for each in plan.effects],
        "files": [_file(each) for each in plan.changes],
        "directories": [_directory(each) for each in plan.directories],
        "services": [
            {"service": each.service, "action": each.kind.value, "reason": each.reason} for each in plan.services
        ],
        "drift": [str(path) for path in plan.drift],
        "summary": {**{action.value: plan.counts[action] for action in Action}, "text": render_summary(plan)},
        "diagnostics": [each.as_json() for each in plan.problems],
    }


def _effect(effect: Effect) -> dict[str, Any]:
    origin = effect.origin
    return {
        "action": effect.action.value,
        "kind": effect.kind,
        "name": effect.name,
        "detail": effect.detail,
        "file": origin.file if origin else None,
        "line": origin.line if origin else None,
        "column": origin.column if origin else None,
    }


def _file(change: Change) -> dict[str, Any]:
    added, removed = count_rows(change)
    return {
        "action": change.action.value,
        "path": str(change.path),
        "name": change.name,
        "table": change.is_table,
        "secret": change.is_secret,
        "lines_added": added,
        "lines_removed": removed,
        "before": _permissions(change.before),
        "after": _permissions(change.after),
        "diff": None if change.is_secret else diff_lines(change),
    }


def _directory(change: DirectoryChange) -> dict[str, Any]:
    return {
        "action": change.action.value,
        "path": str(change.after.path),
        "before": _permissions(change.before),
        "after": _permissions(change.after),
    }


def _permissions(item: RenderedFile | RenderedDirectory | None) -> dict[str, str] | None:
    return None if item is None else {"mode": f"{item.mode:04o}", "owner": item.owner, "group": item.group}
