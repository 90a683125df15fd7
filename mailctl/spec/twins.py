"""Keys that are written differently and mean the same: the model would keep only the last of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mailctl.errors import Problem
from mailctl.spec.hints import dotted
from mailctl.spec.nodes import MappingNode
from mailctl.spec.values.addresses import parse_alias_key, parse_localpart, parse_mailbox_name
from mailctl.spec.values.domains import parse_domain

SpecPath = tuple[str, ...]
Parse = Callable[[str], str]


def twin_keys(root: MappingNode) -> Iterator[Problem]:
    """One problem for each key that repeats another one: `Bob` and `bob`, a U-label and its A-label."""
    domains = root.get("domains")
    yield from _twins(domains, ("domains",), parse_domain, "domain")
    for name, record in domains.items() if isinstance(domains, MappingNode) else ():
        if isinstance(record, MappingNode):
            path = ("domains", name)
            yield from _twins(record.get("mailboxes"), (*path, "mailboxes"), parse_mailbox_name, "mailbox")
            yield from _twins(record.get("aliases"), (*path, "aliases"), parse_alias_key, "alias")
    yield from _twins(root.get("local_aliases"), ("local_aliases",), parse_localpart, "alias")
    tls = root.get("tls")
    if isinstance(tls, MappingNode):
        for key in ("policies", "sni"):
            yield from _twins(tls.get(key), ("tls", key), parse_domain, "name")


def _twins(node: Any, path: SpecPath, parse: Parse, what: str) -> Iterator[Problem]:
    if not isinstance(node, MappingNode) or _are_all_plain(node):
        return
    first: dict[str, str] = {}
    for key in node:
        try:
            parsed = parse(key)
        except ValueError:
            continue  # the model says so
        if parsed in first:
            message = f"{key!r} is the same {what} as {first[parsed]!r}"
            yield Problem(
                node.key_origin(key), dotted(path), message, f"first written at {node.key_origin(first[parsed])}"
            )
        else:
            first[parsed] = key


def _are_all_plain(node: MappingNode) -> bool:
    """Whether every key is lower-case ASCII already and so can be nobody's twin; quick for many keys."""
    text = "\n".join(node)
    return text.isascii() and text == text.lower()
