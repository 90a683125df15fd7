"""Rules about what aliases become: they end, and before Postfix gives up on them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mailctl.errors import Problem
from mailctl.spec.choices import MailboxKind
from mailctl.spec.derive import AliasRow, SpecPath, alias_rows, hosts_mail, pattern_rows
from mailctl.spec.hints import dotted
from mailctl.spec.model import Spec

# postconf(5): how many addresses one becomes, and how often one is replaced; both by default:
EXPANSION_LIMIT = "virtual_alias_expansion_limit"
RECURSION_LIMIT = "virtual_alias_recursion_limit"
DEFAULT_LIMIT = 1000

Edges = Mapping[str, tuple[str, ...]]  # which nodes each becomes


def alias_loops(spec: Spec) -> Iterator[Problem]:
    """Aliases that never end, and those that end later than Postfix follows them (4.6.0, alias expansion error)."""
    if not hosts_mail(spec):
        return
    graph = _AliasGraph.of(spec)
    edges = {node: graph.following(row) for node, row in graph.nodes.items()}
    finished: dict[str, None] = {}
    has_loops = False
    for cycle in _cycles(edges, finished):
        has_loops = True
        if len(cycle) == 1 and cycle[0].startswith("@"):
            continue  # a catch-all that catches its own target: missing_catch_all_targets says so
        path = graph.nodes[cycle[0]].path
        names = [_display(each) for each in (*cycle, cycle[0])]
        message = f"{names[0]!r} is an alias of itself" if len(cycle) == 1 else f"alias loop: {' -> '.join(names)}"
        yield Problem(spec.origin(*path), dotted(path), message, "end it at a mailbox or an address of another server")
    if not has_loops:
        yield from _beyond_limits(spec, graph.nodes, edges, finished)


def _cycles(edges: Edges, done: dict[str, None]) -> Iterator[tuple[str, ...]]:
    """Each loop once, found by a walk in depth that keeps its own stack.

    Args:
        done: takes the nodes as they are finished; without loops the targets of each stand before it.
    """
    for start in edges:
        trail: dict[str, Iterator[str]] = {}
        waiting = [] if start in done else [start]
        while waiting:
            node = waiting[-1]
            following = trail.setdefault(node, iter(edges[node]))
            target = next(following, None)
            if target is None:
                waiting.pop()
                del trail[node]
                done[node] = None
            elif target in trail:
                yield tuple(waiting[waiting.index(target) :])
            elif target not in done:
                waiting.append(target)


def _beyond_limits(
    spec: Spec, rows: Mapping[str, AliasRow], edges: Edges, targets_first: Iterable[str]
) -> Iterator[Problem]:
    """Aliases that Postfix gives up on although each of their targets is fine."""
    most, deepest = (_limit(spec, parameter) for parameter in (EXPANSION_LIMIT, RECURSION_LIMIT))
    sizes: dict[str, tuple[int, int]] = {}
    for node in targets_first:
        size, depth = len(rows[node].targets), 1
        below = [sizes[target] for target in edges[node]]
        if below:
            size += sum(each - 1 for each, _ in below)
            depth += max(level for _, level in below)
        sizes[node] = min(size, most + 1), min(depth, deepest)
        if any(each > most or level >= deepest for each, level in below):
            continue
        if size > most:
            message = f"becomes {size} addresses; Postfix follows {most} and refuses the mail (4.6.0)"
            yield _beyond(spec, rows[node].path, message, EXPANSION_LIMIT)
        elif depth >= deepest:
            message = f"leads through {depth} aliases one after another; Postfix follows fewer than {deepest}"
            yield _beyond(spec, rows[node].path, message, RECURSION_LIMIT)


def _limit(spec: Spec, parameter: str) -> int:
    raised = spec.postfix.main.get(parameter, "")
    return int(raised) if raised.isascii() and raised.isdigit() else DEFAULT_LIMIT


def _beyond(spec: Spec, path: SpecPath, message: str, parameter: str) -> Problem:
    hint = f"use a mailing list manager, or raise {parameter} under postfix.main"
    return Problem(spec.origins.find_key(path), dotted(path), message, hint)


@dataclass(frozen=True, slots=True)
class _AliasGraph:
    """Addresses that become others. A catch-all is `@domain`, a pattern its own text."""

    spec: Spec
    nodes: Mapping[str, AliasRow]
    patterns: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]]

    @classmethod
    def of(cls, spec: Spec) -> _AliasGraph:
        nodes = {row.address: row for row in alias_rows(spec) if not _is_identity(spec, row.path)}
        patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        for row in pattern_rows(spec):
            _, domain, _, key = row.path
            nodes[f"{key}@{domain}"] = AliasRow(f"{key}@{domain}", row.targets, row.path)
            patterns.setdefault(str(domain), []).append((re.compile(row.pattern), f"{key}@{domain}"))
        if spec.server.hostname not in spec.domains:
            for name, target in spec.local_aliases.items():
                address = f"{name}@{spec.server.hostname}"
                nodes[address] = AliasRow(address, (target,), ("local_aliases", name))
        return cls(spec, nodes, {domain: tuple(found) for domain, found in patterns.items()})

    def following(self, row: AliasRow) -> tuple[str, ...]:
        """The nodes that the targets of `row` are looked up as."""
        return tuple([node for target in row.targets if (node := self._node_of(target)) is not None])

    def _node_of(self, address: str) -> str | None:
        """What an address is looked up as; None where it becomes nothing else."""
        localpart, _, domain = address.rpartition("@")
        record = self.spec.domains.get(domain)
        for name in dict.fromkeys((localpart, localpart.partition("+")[0])):
            if f"{name}@{domain}" in self.nodes:
                return f"{name}@{domain}"
            if record is not None and name in record.mailboxes:
                return None
        for pattern, node in self.patterns.get(domain, ()):
            if pattern.fullmatch(address):
                return node
        return f"@{domain}" if f"@{domain}" in self.nodes else None


def _is_identity(spec: Spec, path: SpecPath) -> bool:
    if len(path) != 4 or path[2] != "mailboxes":
        return False
    return spec.domains[str(path[1])].mailboxes[str(path[3])].kind is MailboxKind.MAILBOX


def _display(node: str) -> str:
    return f"catch_all of {node[1:]}" if node.startswith("@") else node
