"""A table type without its package is named before anything goes live."""

from __future__ import annotations

import pytest

from mailctl.components.postfix import missing
from mailctl.components.postfix.map_types import FILES
from mailctl.host import Completed
from mailctl.tree import RenderedFile, Tree
from tests.memory_host import MemoryHost

MAIN_CF, MASTER_CF = FILES
TREE = Tree.of(
    [
        RenderedFile(MAIN_CF, b"alias_maps = cdb:$mailctl_tables/aliases\nrelay_clientcerts = ldap:/etc/mine.cf\n"),
        RenderedFile(MASTER_CF, b"  -o header_checks=pcre:$mailctl_tables/submission_headers\n"),
    ]
)


@pytest.mark.parametrize(
    ("offered", "packages"),
    [
        ("cdb\npcre\nhash\n", []),
        ("hash\ncdb\n", ["postfix-pcre"]),
        ("pcre\n", ["postfix-cdb"]),
        ("", ["postfix-cdb", "postfix-pcre"]),
    ],
)
def test_missing_packages_are_named(offered: str, packages: list[str]) -> None:
    host = MemoryHost()
    host.programs["postconf"] = lambda argv, stdin: Completed(argv, 0, offered.encode(), b"")
    assert [problem.hint for problem in missing(host, TREE)] == [f"apt-get install {each}" for each in packages]


def test_without_postfix_there_is_nobody_to_ask() -> None:
    assert missing(MemoryHost(missing_programs={"postconf"}), TREE) == []


def test_other_services_files_need_none() -> None:
    assert missing(MemoryHost(), Tree({})) == []
