"""Rules about where mail ends: aliases, catch-alls, senders, postmasters. They hold where this server stores mail."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailctl.errors import Problem
from mailctl.spec.derive import (
    REQUIRED_LOCALPARTS,
    SpecPath,
    alias_rows,
    hosts_mail,
    is_pattern,
    pattern_rows,
    postmaster_of,
    resolve,
    whole_address_pattern,
)
from mailctl.spec.hints import did_you_mean, dotted
from mailctl.spec.model import DomainRecord, MailboxKind, Spec


def alias_beside_mailbox(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        for name in record.aliases:
            if name not in record.mailboxes:
                continue
            path = ("domains", domain, "aliases", name)
            first = spec.origins.find_key(("domains", domain, "mailboxes", name))
            message = f"{name!r} is a mailbox too: the alias would take its mail away"
            hint = f"the mailbox is at {first}; give one of them another name"
            yield Problem(spec.origins.find_key(path), dotted(path), message, hint)


def missing_targets(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        for name, targets in record.aliases.items():
            for index, target in enumerate(targets):
                yield from _missing(spec, ("domains", domain, "aliases", name, index), resolve(target, domain))
        for name, mailbox in record.mailboxes.items():
            for index, target in enumerate(mailbox.deliver_to):
                path = ("domains", domain, "mailboxes", name, "deliver_to", index)
                yield from _missing(spec, path, resolve(target, domain))


def missing_catch_all_targets(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        if record.catch_all is None:
            continue
        target = resolve(record.catch_all, domain)
        path = ("domains", domain, "catch_all")
        if target.endswith(f"@{domain}"):
            # The catch-all itself does not make its own target exist.
            without = record.model_copy(update={"catch_all": None})
            if not _receives(spec, domain, without, target.rpartition("@")[0]):
                yield _no_such_address(spec, path, target)
        else:
            yield from _missing(spec, path, target)


def missing_senders(spec: Spec) -> Iterator[Problem]:
    """Postfix refuses a sender of a hosted domain that nobody reads (smtpd_reject_unlisted_sender)."""
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        for name, mailbox in record.mailboxes.items():
            for index, sender in enumerate(mailbox.send_as):
                path = ("domains", domain, "mailboxes", name, "send_as", index)
                address = resolve(sender, domain)
                if address.rpartition("@")[2] not in spec.domains:
                    message = f"{address!r} is not in a hosted domain"
                    hint = did_you_mean(address.rpartition("@")[2], spec.domains)
                    yield Problem(spec.origin(*path), dotted(path), message, hint)
                else:
                    yield from _missing(spec, path, address)


def missing_local_alias_targets(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    for name, target in spec.local_aliases.items():
        path = ("local_aliases", name)
        localpart, _, domain = target.rpartition("@")
        if domain == spec.server.hostname and domain not in spec.domains and localpart not in spec.local_aliases:
            message = f"no local alias is named {localpart!r}"
            hint = did_you_mean(localpart, spec.local_aliases) or "mail to system users needs an address that is read"
            yield Problem(spec.origin(*path), dotted(path), message, hint)
        else:
            yield from _missing(spec, path, target)


def missing_postmasters(spec: Spec) -> Iterator[Problem]:
    """Mail and bounces to an smtp-user go to the postmaster of its domain."""
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        users = (
            name
            for name, each in record.mailboxes.items()
            if each.kind is MailboxKind.SMTP_USER and not each.deliver_to
        )
        user = next(users, None)
        if user is not None and postmaster_of(spec, domain) is None:
            path = ("domains", domain, "mailboxes", user)
            message = "nobody receives its bounces: the domain has no postmaster and no mailbox"
            hint = "add deliver_to here, an alias postmaster, or local_aliases.postmaster"
            yield Problem(spec.origin(*path), dotted(path), message, hint)


def alias_loops(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    graph = _AliasGraph.of(spec)
    for cycle in graph.cycles():
        if len(cycle) == 1 and cycle[0].startswith("@"):
            continue  # a catch-all that catches its own target: missing_catch_all_targets says so
        path = graph.nodes[cycle[0]].path
        names = [_display(each) for each in (*cycle, cycle[0])]
        message = f"{names[0]!r} is an alias of itself" if len(cycle) == 1 else f"alias loop: {' -> '.join(names)}"
        yield Problem(spec.origin(*path), dotted(path), message, "end it at a mailbox or an address of another server")


@dataclass(frozen=True, slots=True)
class _Node:
    targets: tuple[str, ...]
    path: SpecPath


@dataclass(frozen=True, slots=True)
class _AliasGraph:
    """Addresses that become others. A catch-all is `@domain`, a pattern its own text."""

    spec: Spec
    nodes: Mapping[str, _Node]
    patterns: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]]

    @classmethod
    def of(cls, spec: Spec) -> _AliasGraph:
        nodes = {
            row.address: _Node(row.targets, row.path) for row in alias_rows(spec) if not _is_identity(spec, row.path)
        }
        patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        for row in pattern_rows(spec):
            _, domain, _, key = row.path
            nodes[f"{key}@{domain}"] = _Node(row.targets, row.path)
            patterns.setdefault(str(domain), []).append((re.compile(row.pattern), f"{key}@{domain}"))
        if spec.server.hostname not in spec.domains:
            for name, target in spec.local_aliases.items():
                nodes[f"{name}@{spec.server.hostname}"] = _Node((target,), ("local_aliases", name))
        return cls(spec, nodes, {domain: tuple(found) for domain, found in patterns.items()})

    def cycles(self) -> Iterator[tuple[str, ...]]:
        """Each loop once, found by a walk in depth that keeps its own stack."""
        done: set[str] = set()
        for start in self.nodes:
            trail: dict[str, Iterator[str]] = {}
            waiting = [] if start in done else [start]
            while waiting:
                node = waiting[-1]
                following = trail.setdefault(node, iter(self.nodes[node].targets))
                target = self._next(following)
                if target is None:
                    waiting.pop()
                    del trail[node]
                    done.add(node)
                elif target in trail:
                    yield tuple(waiting[waiting.index(target) :])
                elif target not in done:
                    waiting.append(target)

    def _next(self, targets: Iterator[str]) -> str | None:
        """The next of `targets` that becomes something else again."""
        return next((node for each in targets if (node := self._node_of(each)) is not None), None)

    def _node_of(self, address: str) -> str | None:
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


def _missing(spec: Spec, path: SpecPath, address: str) -> Iterator[Problem]:
    localpart, _, domain = address.rpartition("@")
    record = spec.domains.get(domain)
    if record is not None and not _receives(spec, domain, record, localpart):
        yield _no_such_address(spec, path, address)


def _receives(spec: Spec, domain: str, record: DomainRecord, localpart: str) -> bool:
    names = (localpart, localpart.partition("+")[0])
    if any(name in record.mailboxes or name in record.aliases for name in names) or record.catch_all is not None:
        return True
    if localpart in REQUIRED_LOCALPARTS and postmaster_of(spec, domain) is not None:
        return True
    address = f"{localpart}@{domain}"
    return any(re.fullmatch(whole_address_pattern(key, domain), address) for key in record.aliases if is_pattern(key))


def _no_such_address(spec: Spec, path: SpecPath, address: str) -> Problem:
    localpart, _, domain = address.rpartition("@")
    record = spec.domains[domain]
    hint = did_you_mean(localpart, (*record.mailboxes, *record.aliases))
    if hint:
        name = hint.split("'")[1]
        below = "mailboxes" if name in record.mailboxes else "aliases"
        origin = spec.origins.find_key(("domains", domain, below, name))
        hint = f"did you mean '{name}@{domain}' ({origin})?"
    return Problem(spec.origin(*path), dotted(path), f"no mailbox or alias is named {address!r}", hint)
