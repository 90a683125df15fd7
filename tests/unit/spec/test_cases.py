"""Specs and the problems mailctl names in them: each case of cases/*.txt is a spec and what `validate` says of it.

A case begins with `=== name`. Its first lines are mail.yml; `--- NAME` begins a further file beside it, and
`--- problems` what is expected, in full. What every spec needs is added below mail.yml where it holds no `version`.
`@HASH@` stands for a password hash. A new case needs no code: write it, run pytest --update-golden, review the diff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailctl.spec.load import problems

CASES = Path(__file__).parent / "cases"
BASE = "version: 1\nserver: {hostname: mx1.example.org}\ntls: {self_signed: true}\n"
HASH = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43


@dataclass
class Case:
    file: Path
    name: str
    files: dict[str, str] = field(default_factory=dict)
    expected: str = ""


def read_cases(file: Path) -> list[Case]:
    cases = []
    for text in re.split(r"^=== ", file.read_text(), flags=re.MULTILINE)[1:]:
        name, _, rest = text.partition("\n")
        first, *others = re.split(r"^--- ", rest, flags=re.MULTILINE)
        case = Case(file, name, {"mail.yml": first})
        for part in others:
            title, _, content = part.partition("\n")
            if title == "problems":
                case.expected = content.strip("\n")
            else:
                case.files[title] = content
        cases.append(case)
    return cases


def write_expected(case: Case, found: str) -> None:
    cases = read_cases(case.file)
    next(each for each in cases if each.name == case.name).expected = found
    case.file.write_text("\n".join(map(render, cases)))


def render(case: Case) -> str:
    parts = [f"=== {case.name}\n{case.files['mail.yml']}"]
    parts += [f"--- {name}\n{text}" for name, text in case.files.items() if name != "mail.yml"]
    return "".join(parts) + f"--- problems\n{case.expected}".rstrip("\n") + "\n"


ALL = [case for file in sorted(CASES.glob("*.txt")) for case in read_cases(file)]


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.file.stem}: {case.name}")
def test_problems_of_a_spec(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in case.files.items():
        content = text.replace("@HASH@", HASH)
        if name == "mail.yml" and "version:" not in content:
            content += BASE
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = "\n".join(map(str, problems(Path("mail.yml"))))
    if request.config.getoption("--update-golden"):
        write_expected(case, found)
    assert found == case.expected


def test_names_of_cases_are_unique_within_their_file() -> None:
    names = [(case.file, case.name) for case in ALL]
    assert len(names) == len(set(names)) > 0
