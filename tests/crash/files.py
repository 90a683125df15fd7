"""A folder that stands for a machine, brought into each state in which a verb may meet its end."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailctl.apply.generation import KEPT_GENERATIONS
from mailctl.apply.guard import keep_watch
from mailctl.apply.journal import read_unfinished
from mailctl.apply.recover import confirm, recover
from mailctl.apply.run import Order, apply_plan, apply_rollback
from mailctl.host import LocalHost
from mailctl.plan.make import make_plan, make_rollback_plan
from mailctl.plan.stored import read_current, read_numbers, read_tree
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from tests.crash.sweep import contents

HASH = "{SHA512-CRYPT}$6$aaaaaaaaaaaaaaaa$" + "b" * 86
LOGIN = {"password": {"hash": HASH}}
OLD: dict[str, Any] = {
    "version": 1,
    "server": {"hostname": "mx1.example.org"},
    "tls": {"self_signed": True},
    "domains": {
        "example.org": {
            "dkim": {"selector": "s1"},
            "mailboxes": {"ali": LOGIN, "bob": LOGIN},
            "aliases": {f"alias{number}": ["ali"] for number in range(100)},
        }
    },
}
NEW = copy.deepcopy(OLD)
# A login comes, one goes, tables change, a file goes: every kind of replacement.
NEW["domains"]["example.org"] |= {
    "dkim": None,
    "mailboxes": {"ali": LOGIN, "carol": LOGIN},
    "aliases": {f"alias{number}": ["carol"] for number in range(100)},
}
NEW["server"]["message_size"] = "30M"


@dataclass(frozen=True)
class Machine:
    """What a person does with mailctl, in this process, on the files below `folder`."""

    folder: Path

    @property
    def host(self) -> LocalHost:
        return LocalHost(self.folder)

    def apply(self, spec: Spec, text: bytes = b"") -> None:
        recover(self.host, DEBIAN_12, _silent)
        plan = make_plan(spec, DEBIAN_12, self.host)
        if not plan.is_empty:
            apply_plan(self.host, DEBIAN_12, spec, plan, Order("ali", _silent, text, allow_destroy=True))

    def rollback(self, number: int) -> None:
        recover(self.host, DEBIAN_12, _silent)
        plan = make_rollback_plan(number, DEBIAN_12, self.host)
        if not (plan.is_empty and plan.number == number):
            apply_rollback(self.host, DEBIAN_12, number, plan, Order("ali", _silent))

    def recover(self) -> None:
        recover(self.host, DEBIAN_12, _silent)

    def apply_waiting(self, spec: Spec, seconds: float) -> float:
        """An apply that waits that long for its confirmation; when that ends."""
        order = Order("ali", _silent, allow_destroy=True, confirm_within=seconds)
        apply_plan(self.host, DEBIAN_12, spec, make_plan(spec, DEBIAN_12, self.host), order)
        journal = read_unfinished(self.host, DEBIAN_12)
        assert journal is not None
        assert journal.deadline is not None
        return journal.deadline

    def confirm(self) -> int:
        return confirm(self.host, DEBIAN_12, _silent)

    def watch(self, deadline: float) -> None:
        """What the guard does, where it need not be armed."""
        keep_watch(self.host, DEBIAN_12, deadline, _silent)

    def etc(self) -> dict[str, tuple[bytes, int]]:
        return contents(self.folder / "etc")

    def assert_tidy(self) -> None:
        """Nothing half done lies about, and every generation there is can be gone back to."""
        assert read_unfinished(self.host, DEBIAN_12) is None
        assert not [name for name in self.etc() if ".mailctl-" in name]
        state = self.folder / "var/lib/mailctl"
        assert not list((state / "staging").iterdir() if (state / "staging").is_dir() else ())
        assert not [path for path in (state / "generations").glob(".*") if not path.name.startswith(".gone-")]
        numbers = read_numbers(self.host, DEBIAN_12)
        for number in numbers:
            read_tree(self.host, DEBIAN_12, number)
        assert (read_current(self.host, DEBIAN_12) or 0) in [0, *numbers]


@dataclass(frozen=True)
class Scene:
    """The machine before a verb, the verb as a user types it, and the same verb in this process."""

    folder: Path
    arguments: tuple[str, ...]
    again: Callable[[Machine], None]


def make_scenes(folder: Path) -> dict[str, Scene]:
    """Four verbs that write, each with its machine ready below `folder`."""
    old, new = (_write_spec(folder, name, data) for name, data in (("old", OLD), ("new", NEW)))
    specs = {path: load_spec(path) for path in (old, new)}

    def machine(name: str, *applied: Path) -> Path:
        made = Machine(folder / name)
        (made.folder / "etc/postfix").mkdir(parents=True)
        (made.folder / "etc/postfix/main.cf").write_text("# Debian's\n")
        (made.folder / "etc/postfix/notes.txt").write_text("mine\n")
        for spec in applied:
            made.apply(specs[spec])
        return made.folder

    def apply(path: Path) -> tuple[tuple[str, ...], Callable[[Machine], None]]:
        return ("-f", str(path), "apply", "-y"), lambda each: each.apply(specs[path])

    many = [(old, new)[number % 2] for number in range(KEPT_GENERATIONS)]
    return {
        "first": Scene(machine("first"), *apply(old)),
        "change": Scene(machine("change", old), *apply(new)),
        "rollback": Scene(machine("rollback", old, new), ("rollback", "1", "-y"), lambda each: each.rollback(1)),
        "prune": Scene(machine("prune", *many), *apply(old)),
    }


def _write_spec(folder: Path, name: str, data: dict[str, Any]) -> Path:
    path = folder / f"{name}.yml"
    path.write_text(json.dumps(data))
    return path


def _silent(message: str) -> None:
    pass
