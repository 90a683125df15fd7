"""The golden trees: compared, parsed by the real Postfix, their tables built."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailctl.components import postfix
from mailctl.components.registry import render_tree
from mailctl.target import DEBIAN_12, TableType
from mailctl.tree import RenderedFile, Tree

if TYPE_CHECKING:
    from tests.components.postfix.conftest import ScratchPostfix, SpecOf
    from tests.conftest import Golden

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/spec.yml"))


@pytest.mark.parametrize("case", CASES)
def test_rendered_files_match_golden(case: str, spec_of: SpecOf, golden: Golden) -> None:
    golden.compare(postfix.render(spec_of(case), DEBIAN_12), GOLDEN / case / "expected")


@pytest.mark.parametrize("case", CASES)
def test_the_real_programs_find_nothing_wrong(case: str, spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    assert scratch.problems(spec_of(case)) == []
    assert "myhostname" in scratch.postconf("-n")
    assert "qmgr" in scratch.postconf("-M")


@pytest.mark.parametrize("table_type", list(TableType))
def test_every_table_type_builds(table_type: TableType, spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    scratch.target = replace(scratch.target, table_type=table_type)
    assert scratch.problems(spec_of("full")) == []


def test_rendering_twice_gives_the_same_bytes(spec_of: SpecOf) -> None:
    first, second = (Tree.of(postfix.render(spec_of("full"), DEBIAN_12)) for _ in range(2))
    assert first == second


def test_equal_tables_are_the_same_directory(spec_of: SpecOf) -> None:
    spec = spec_of("full")
    louder = spec.model_copy(update={"server": spec.server.model_copy(update={"message_size": 2**20})})
    first, second = (Tree.of(postfix.render(each, DEBIAN_12)) for each in (spec, louder))
    tables = [{file.path for file in tree if file.is_table} for tree in (first, second)]
    assert tables[0] == tables[1]
    assert first != second


def test_100000_addresses_render_in_linear_time(spec_of: SpecOf) -> None:
    def seconds(domains: int) -> float:
        record = spec_of("minimal").domains["example.org"]
        mailbox = record.mailboxes["ali"]
        names = [f"user{number}" for number in range(500)]
        full = record.model_copy(
            update={
                "mailboxes": dict.fromkeys(names, mailbox),
                "aliases": {f"alias.{name}": (name,) for name in names},
            }
        )
        spec = spec_of("minimal").model_copy(
            update={"domains": {f"d{number}.example": full for number in range(domains)}}
        )
        start = time.process_time()
        files = list(postfix.render(spec, DEBIAN_12))
        assert sum(file.content.count(b"@") for file in files if isinstance(file, RenderedFile)) > 1000 * domains
        return time.process_time() - start

    small, large = seconds(10), seconds(100)
    assert large < 20 * small
    assert large < 5


def test_a_directory_two_components_need_is_one_directory(spec_of: SpecOf) -> None:
    directories = [folder.path for folder in render_tree(spec_of("full"), DEBIAN_12).directories]
    assert DEBIAN_12.auth_socket.parent in directories
    assert len(directories) == len(set(directories))


@pytest.mark.parametrize("case", CASES)
def test_the_cipher_list_of_a_profile_is_for_incoming_mail_alone(
    case: str, spec_of: SpecOf, scratch: ScratchPostfix
) -> None:
    """The parameter is shared: in main.cf it would keep the SMTP client from servers that know other suites."""
    scratch.write(spec_of(case))
    assert not re.search(r"^tls_(high|medium|low)_cipherlist", scratch.postconf("-n"), re.MULTILINE)
    served = re.findall(r"^(\S+/inet)/tls_\w+_cipherlist = \S", scratch.postconf("-P"), re.MULTILINE)
    services = [line.split() for line in scratch.postconf("-M").splitlines()]
    assert served == [f"{name}/{kind}" for name, kind, *_ in services if kind == "inet"]
