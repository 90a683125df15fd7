"""The difference of two inventories, in mail terms."""

from __future__ import annotations

from collections.abc import Callable

from mailctl.errors import Origin
from mailctl.plan.inventory import ADDRESS_KINDS, PASSWORD, TARGETS, Facts, Inventory, Key
from mailctl.plan.model import Action, Addresses, Effect
from mailctl.spec.derive import SpecPath

FindOrigin = Callable[[SpecPath], Origin]


def diff_inventories(before: Inventory, after: Inventory, origin_of: FindOrigin) -> tuple[Effect, ...]:
    """What `after` does that `before` did not, and the reverse; removals stand beside their own kind."""

    def find(key: Key) -> Origin | None:
        path = after.paths.get(key)
        return None if path is None else origin_of(path)

    effects = [_compare(key, before.entries.get(key), facts, find) for key, facts in after.entries.items()]
    effects += [
        Effect(Action.REMOVE, *key, _describe(facts))
        for key, facts in before.entries.items()
        if key not in after.entries
    ]
    order = {kind: position for position, kind in enumerate(_kinds(after, before))}
    return tuple(sorted(filter(None, effects), key=lambda effect: order[effect.kind]))


def count_addresses(before: Inventory, after: Inventory) -> Addresses:
    """How many addresses go away; a mailbox that becomes an alias stays an address."""
    old = {name for kind, name in before.entries if kind in ADDRESS_KINDS}
    new = {name for kind, name in after.entries if kind in ADDRESS_KINDS}
    return Addresses(len(old), len(old - new))


def _kinds(*inventories: Inventory) -> dict[str, None]:
    return dict.fromkeys(kind for inventory in inventories for kind, _ in inventory.entries)


def _compare(key: Key, before: Facts | None, after: Facts, find: Callable[[Key], Origin | None]) -> Effect | None:
    if before == after:
        return None
    if before is None:
        return Effect(Action.ADD, *key, _describe(after), find(key))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    detail = "  ".join(_changed(name, before.get(name), after.get(name)) for name in changed)
    return Effect(Action.CHANGE, *key, detail, find(key))


def _describe(facts: Facts) -> str:
    return "  ".join(f"{name} {value}".strip() for name, value in facts.items() if name != PASSWORD)


def _changed(name: str, before: str | None, after: str | None) -> str:
    if name == PASSWORD:
        return "password changed"
    if name == TARGETS:
        return f"→ {after or 'nobody'} (was {before or 'nobody'})"
    return f"{name} {before or 'none'} → {after or 'none'}".strip()
