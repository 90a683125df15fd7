"""Every managed service, in the order in which their files are switched: whoever is asked comes before who asks."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.components import certificate, dovecot, opendkim, postfix
from mailctl.components.base import Component, Daemon, ReloadKind
from mailctl.errors import Problem
from mailctl.host import Host
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import Tree

COMPONENTS: tuple[Component, ...] = (certificate, opendkim, dovecot, postfix)


def enabled_components(spec: Spec) -> Iterator[Component]:
    """The components this spec needs, in switching order."""
    return (component for component in COMPONENTS if component.enabled(spec))


def serving_components(tree: Tree) -> Iterator[Component]:
    """The components that serve the files in `tree`, in switching order."""
    return (each for each in COMPONENTS if each.action(Tree({}), tree).kind is not ReloadKind.NOTHING)


def daemons(spec: Spec, target: Target) -> tuple[Daemon, ...]:
    """The processes that serve what this spec describes, in switching order."""
    found = (component.daemon(target) for component in enabled_components(spec))
    return tuple(daemon for daemon in found if daemon)


def unused_daemons(spec: Spec, target: Target) -> tuple[Daemon, ...]:
    """The processes of managed services this spec does not need."""
    used = daemons(spec, target)
    found = (component.daemon(target) for component in COMPONENTS)
    return tuple(daemon for daemon in found if daemon and daemon not in used)


def missing(host: Host, tree: Tree) -> list[Problem]:
    """What the files in `tree` need besides, and this machine lacks."""
    return [problem for component in COMPONENTS for problem in component.missing(host, tree)]


def render_tree(spec: Spec, target: Target) -> Tree:
    """Every file of every enabled component."""
    return Tree.of(item for component in enabled_components(spec) for item in component.render(spec, target))
