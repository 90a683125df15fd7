"""Rendered files as the services read them: records of tokens, whatever the bytes looked like."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from mailctl.components.postfix.cf import main_parameters, master_services
from mailctl.host import LocalHost
from mailctl.tree import Tree

Record = tuple[str, ...]
Parser = Callable[[Path], Iterator[Record]]

# Values the user writes in Postfix's own syntax, spaces included: one token.
WHOLE_VALUES = ("bounce_notice_recipient",)
OWN_SERVICE = "qservq"
OWN_SERVICE_OPTION = "qservoptq"
POSTFIX_FILES = ("main.cf", "master.cf")
ADDED_BY_POSTALIAS = ("@", "YP_LAST_MODIFIED", "YP_MASTER_NAME")
TAG_CONDITION = ("if !/\\+/", "endif")
MOST_KNOWN = 10_000
SETTLED = 1_000_000_000  # seconds; Postfix programs wait for files that are younger than a second
GENERATION = re.compile(r"/generations/[0-9a-f]{12}")


class RefusedByServiceError(Exception):
    """A checker of the service complained, so that an apply would refuse the spec."""


class Reader:
    """Reads trees back with postconf, postmap, postalias and doveconf; equal bytes are read once.

    `folder` is scratch space.
    """

    def __init__(self, host: LocalHost, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self._known: dict[tuple[str, bytes], tuple[Record, ...]] = {}

    def records(self, tree: Tree) -> Mapping[str, tuple[Record, ...]]:
        """The records of each file, by a name that does not hold the digest of the tables."""
        contents = {str(file.path): GENERATION.sub("", file.content.decode()).encode() for file in tree}
        for name in POSTFIX_FILES:
            self._write(name, contents[f"/etc/postfix/{name}"])
        # Each of the two decides what the other may hold.
        both = b"".join(contents[f"/etc/postfix/{name}"] for name in POSTFIX_FILES)
        return {
            GENERATION.sub("", path): self._read(path.rpartition("/")[2], content, both)
            for path, content in contents.items()
        }

    def _read(self, name: str, content: bytes, both: bytes) -> tuple[Record, ...]:
        key = (name, both if name in POSTFIX_FILES else content)
        if key not in self._known:
            if len(self._known) > MOST_KNOWN:
                self._known.clear()
            self._known[key] = tuple(self._parser(name)(self._write(name, content)))
        return self._known[key]

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        os.utime(path, (SETTLED, SETTLED))
        return path

    def _parser(self, name: str) -> Parser:
        named: dict[str, Parser] = {
            "main.cf": self._main_cf,
            "master.cf": self._master_cf,
            "dovecot.conf": self._dovecot_conf,
            "aliases": self._aliases,
            "mailctl-quota-warning": _script,
        }
        if name in named:
            return named[name]
        if name.startswith("mailctl."):
            return partial(_lines, separators=":")
        if name.endswith("_pcre") or name == "submission_headers":
            return _patterns
        if name in ("SigningTable", "TrustedHosts", "opendkim.conf"):
            return partial(_lines, separators=r"\s")
        return self._table

    def _run(self, *argv: str | Path) -> str:
        done = self._host.run(argv)
        if done.stderr or done.returncode:
            raise RefusedByServiceError(done.complaint)
        return done.stdout.decode()

    def _main_cf(self, path: Path) -> Iterator[Record]:
        found = dict(main_parameters(self._run("postconf", "-c", self._folder, "-n")))
        del found["config_directory"]  # the scratch folder, not the file
        for name, value in found.items():
            yield (name, value) if name in WHOLE_VALUES else (name, *re.split(r"[,\s]+", value))

    def _master_cf(self, path: Path) -> Iterator[Record]:
        for name, rest in master_services(self._run("postconf", "-c", self._folder, "-M")).items():
            # postconf writes the options of the user's own service its own way: that it is one service is what counts.
            is_own = name.startswith(OWN_SERVICE) or OWN_SERVICE_OPTION in rest
            yield (name,) if is_own else (name, *rest.split())

    def _dovecot_conf(self, path: Path) -> Iterator[Record]:
        done = self._host.run(["doveconf", "-n", "-c", path])
        if done.returncode:
            raise RefusedByServiceError(done.complaint)
        for line in done.stdout.decode().splitlines():
            if not line.startswith("#"):
                # Warnings are numbered by size.
                yield (re.sub(r"^quota_warning\d*", "quota_warning", line.strip()),)

    def _table(self, path: Path) -> Iterator[Record]:
        for line in self._run("postmap", "-s", f"texthash:{path}").splitlines():
            key, _, value = line.partition("\t")
            if path.name == "relay_passwords":
                yield (key, *value.split(":", 1))
            else:
                yield (key, *re.split(r"[,\s]+", value))

    def _aliases(self, path: Path) -> Iterator[Record]:
        self._run("postalias", f"lmdb:{path}")
        for line in self._run("postmap", "-s", f"lmdb:{path}").splitlines():
            key, _, value = line.replace("\0", "").partition("\t")
            if key not in ADDED_BY_POSTALIAS:
                yield (key, *re.split(r"[,\s]+", value))


def _lines(path: Path, separators: str) -> Iterator[Record]:
    for line in path.read_text().split("\n"):
        if line and not line.startswith("#"):
            yield tuple(re.split(separators, line))


def _patterns(path: Path) -> Iterator[Record]:
    for line in path.read_text().split("\n"):
        # Around a pattern that names the tag itself there is no condition.
        if line and line not in TAG_CONDITION and not line.startswith("#"):
            # The pattern ends at its second slash, for none may stand inside.
            head, slash, value = line.rpartition("/ ")
            yield (unescaped(head + slash), *re.split(r"[,\s]+", value))


def unescaped(pattern: str) -> str:
    """A pattern with the dots and hyphens of names as they are in the spec."""
    return re.sub(r"\\([.-])", r"\1", pattern)


def _script(path: Path) -> Iterator[Record]:
    # Whatever the shell could take for more than a word separates tokens.
    for line in path.read_text().split("\n"):
        yield tuple(re.split(r"[^\w.-]+", line))


def substituted(records: Iterable[Record], before: str, after: str) -> Counter[Record]:
    """The records with one text put for another in every token."""

    def put(token: str) -> str:
        if before.isdigit():
            return re.sub(rf"(?<!\d){before}(?!\d)", lambda _: after, token)
        return token.replace(before, after)

    return as_read(tuple(map(put, record)) for record in records)


def as_read(records: Iterable[Record]) -> Counter[Record]:
    """The records without their order."""
    return Counter(tuple(sorted(record)) for record in records)
