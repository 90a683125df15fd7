"""What a plan is made from: where all of it is as it was, the same plan comes out and need not be made again."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mailctl import __version__
from mailctl.components.base import Daemon
from mailctl.spec.nodes import expand, read_secret, read_source
from mailctl.target import Target

if TYPE_CHECKING:
    from mailctl.spec.model import Spec

PACKAGE = Path(__file__).parent.parent
CODE = (PACKAGE, PACKAGE.parent / "templates")  # the templates of a checkout; those of a wheel lie in the package
LIBRARIES = ("idna", "jinja2", "pydantic", "pydantic_core", "yaml")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files a spec was read from, by absolute paths, and a digest of all that decides what is rendered.

    `files` are the spec and what its patterns in `include` meant; `hosts` those of a fleet with their full names;
    `programs` what its services need; `daemons` those that serve, `unused` those that need not run.
    """

    spec: str
    files: tuple[str, ...]
    patterns: tuple[str, ...]
    secrets: tuple[str, ...]
    hosts: Mapping[str, str]
    programs: tuple[str, ...]
    daemons: tuple[Daemon, ...]
    unused: tuple[Daemon, ...]
    digest: str

    @classmethod
    def of(
        cls,
        spec: Spec,
        target: Target,
        programs: Iterable[str],
        daemons: tuple[Daemon, ...],
        unused: tuple[Daemon, ...],
    ) -> Inputs | None:
        """The inputs of `spec` as it was loaded; None for one that says more than its files do.

        That is one with secrets from the environment, or a fleet's that was not loaded for one of its hosts.
        """
        secrets = [mailbox.password for record in spec.domains.values() for mailbox in record.mailboxes.values()]
        secrets += [relay.password for relay in spec.relays.values() if relay.password]
        is_no_host = bool(spec.hosts) and spec.member.host is None
        if is_no_host or not spec.origins.files or any(secret.is_from_environment for secret in secrets):
            return None
        texts = {_absolute(name): spec.origins.text(name) for name in spec.origins.files}
        hidden = {_absolute(secret.path): secret.value for secret in secrets if secret.path}
        digest = _digest(target, spec.member.host, [*texts.items(), *hidden.items()])
        return cls(
            spec=next(iter(texts)),
            files=tuple(texts),
            patterns=spec.include,
            secrets=tuple(hidden),
            hosts=spec.member.names,
            programs=tuple(programs),
            daemons=daemons,
            unused=unused,
            digest=digest,
        )

    def still_hold(self, spec: Path, target: Target, host: str | None, machine: str) -> bool:
        """Whether the spec, loaded now, would be the same, and would be rendered to the same bytes.

        Args:
            host: which host of the fleet is meant; None for the one that `machine` is, gethostname(2).

        Raises:
            OSError, ValueError, UnreadableFileError: a file cannot be read any more.
            UsageError: no host of the fleet is this machine.
        """
        folder = spec.absolute().parent
        included = {_absolute(folder / name) for each in self.patterns for name in expand(each, folder)}
        if _absolute(spec) != self.spec or {self.spec, *included} != set(self.files):
            return False
        texts = [(name, read_source(Path(name)).text) for name in self.files]
        secrets = [(name, read_secret(Path(name))) for name in self.secrets]
        if host is None and self.hosts:
            from mailctl.spec.fleet import host_of_machine

            host = host_of_machine(self.hosts, machine)
        return _digest(target, host, [*texts, *secrets]) == self.digest

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "daemons": _daemons_as_json(self.daemons), "unused": _daemons_as_json(self.unused)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Inputs:
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        daemons, unused = _daemons_from_json(data["daemons"]), _daemons_from_json(data["unused"])
        return cls(**{**fields, "daemons": daemons, "unused": unused})


def _daemons_as_json(daemons: Iterable[Daemon]) -> list[dict[str, Any]]:
    return [{**asdict(each), "pid_file": str(each.pid_file)} for each in daemons]


def _daemons_from_json(data: Iterable[Mapping[str, Any]]) -> tuple[Daemon, ...]:
    return tuple(Daemon(**{**each, "pid_file": PurePosixPath(each["pid_file"])}) for each in data)


def _absolute(path: str | Path) -> str:
    """As it was spelled: what a link on the way, or `..` behind one, means is looked up when it is read."""
    return str(Path(path).absolute())


def _digest(target: Target, host: str | None, contents: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256(repr((target, host, *_code())).encode())
    for name, content in contents:
        digest.update(f"\n{name} {len(content)}\n".encode())
        digest.update(content.encode())
    # Passwords are in it: slow, so that guesses cannot be tried quickly on a stolen copy. 10 ms.
    return hashlib.scrypt(digest.digest(), salt=b"inputs", n=2**12, r=8, p=1, dklen=16).hex()


def _code() -> Iterator[object]:
    """Whatever changes when mailctl, its templates, a library that decides what is rendered, or Python does."""
    yield from (sys.version, __version__)
    for folder in CODE:
        for path, directories, names in os.walk(folder):
            directories[:] = sorted(each for each in directories if each != "__pycache__")
            for name in sorted(names):
                yield _stamp(os.path.join(path, name))  # noqa: PTH118 - quick, for some hundred files
    for library in LIBRARIES:
        found = importlib.util.find_spec(library)
        yield _stamp(found.origin) if found and found.origin else library


def _stamp(path: str) -> tuple[str, int, int]:
    state = os.stat(path)  # noqa: PTH116
    return path, state.st_mtime_ns, state.st_size
