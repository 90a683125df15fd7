"""Loading: files that are no specs, hostile ones, where values come from, which file is the spec."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mailctl.errors import ExitCode, Origin, Severity, SpecError, UsageError
from mailctl.spec.choices import Role
from mailctl.spec.find import find_spec
from mailctl.spec.load import load_spec, problems

HASH = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
# Fifty, and a line that says there are more.
MOST_SHOWN = 51
BASE = "version: 1\nserver: {hostname: mx1.example.org}\ntls: {self_signed: true}\n"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAILCTL_SPEC", raising=False)


def write(text: str | bytes, name: str = "mail.yml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def messages(path: Path) -> list[str]:
    return [f"{each.origin}: {each.message}" for each in problems(path)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "mail.yml:1:1: expected a mapping at the top, found an empty file"),
        (b"# only a comment\n", "mail.yml:1:1: expected a mapping at the top, found an empty file"),
        (b"---\n", "mail.yml:1:1: expected a mapping at the top, found an empty file"),
        (b"just text", "mail.yml:1:1: expected a mapping at the top, found a single text"),
        (b"version: 1\nserver: \0", "mail.yml:2:9: the control character '\\x00' is not allowed"),
        (b"a: b\xc2\x85c: d", "mail.yml:1:5: the control character '\\x85' is not allowed"),
        (b"a: b\r\nc: \x1b[2J", "mail.yml:2:4: the control character '\\x1b' is not allowed"),
        (b"a: b\nc: \xff", "mail.yml:2:4: not UTF-8 text from here on"),
        ("a: b".encode("utf-16"), "mail.yml:1:1: not UTF-8 text from here on"),
    ],
)
def test_a_file_that_is_no_spec_is_one_problem(content: bytes, expected: str) -> None:
    assert messages(write(content)) == [expected]


def test_a_byte_order_mark_changes_nothing() -> None:
    assert load_spec(write(b"\xef\xbb\xbf" + BASE.encode())).server.hostname == "mx1.example.org"


def test_a_missing_spec_a_folder_a_fifo_and_a_device_are_problems_and_never_wait() -> None:
    Path("folder").mkdir()
    os.mkfifo("fifo")
    started = time.monotonic()
    assert messages(Path("none.yml")) == ["none.yml: cannot read it: no such file or directory"]
    assert messages(Path("folder")) == ["folder: cannot read it: is a directory"]
    assert messages(Path("fifo")) == ["fifo: cannot read it: it is not a regular file"]
    assert messages(Path("/dev/zero")) == ["/dev/zero: cannot read it: it is not a regular file"]
    assert time.monotonic() - started < 10


def test_a_file_larger_than_any_spec_is_refused() -> None:
    path = write(BASE)
    os.truncate(path, 32 * 2**20 + 1)
    assert messages(path) == ["mail.yml: cannot read it: it is larger than 32 MiB"]


NESTED = [opening * 100_000 for opening in ("[", "{a: ", "a: ", "- ", "? ", "&a ")]
BOMBS = [
    "x: &a [1]\n" + "y: *a\n" * 50_000,
    "a: [" + ", ".join(["*b"] * 50_000) + "]",
    "a: &a [l, l]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n" * 1000,
]


@pytest.mark.parametrize("text", [*NESTED, *BOMBS], ids=lambda text: text[:12].replace("\n", " "))
def test_nesting_and_alias_bombs_end_within_a_second(text: str) -> None:
    path = write(text)
    started = time.process_time()
    assert 0 < len(problems(path)) <= MOST_SHOWN
    assert time.process_time() - started < 1


def in_aliases(*entries: str) -> str:
    return f"{BASE}domains: {{example.org: {{aliases: {{{', '.join(entries)}}}}}}}\n"


MANY = {
    "missing targets": in_aliases(*(f"a{n}: [b{n}]" for n in range(20_000))),
    "one long chain": in_aliases(*(f"a{n}: [a{n + 1}]" for n in range(9_000))),
    "twins": in_aliases(*(f"A{n}: [], a{n}: []" for n in range(9_000))),
    "unknown keys": BASE + "".join(f"key{n}: 1\n" for n in range(20_000)),
    "one key again and again": BASE + "same: 1\n" * 20_000,
    "unknown relays": f"{BASE}routes: [{', '.join(f'{{to: [d{n}.example], via: no}}' for n in range(9_000))}]\n",
}


@pytest.mark.parametrize("text", MANY.values(), ids=MANY)
def test_thousands_of_faults_end_soon_and_are_not_all_printed(text: str) -> None:
    path = write(text)
    started = time.process_time()
    assert 0 < len(problems(path)) <= MOST_SHOWN
    assert time.process_time() - started < 5


def test_long_values_are_not_told_whole() -> None:
    key, long = "x" * 1000, "x" * 100_000
    quoted = '"' + "it's\\\\" * 5000 + '"'
    faults = [
        f"relays: {{{key}: 1}}",
        f"local_aliases: {{root: {long}}}",
        f"routes: [{{via: {quoted}}}]",
        f"{key}: 1",
    ]
    found = problems(write(f"{BASE}{chr(10).join(faults)}\n"))
    assert [each.origin.line for each in found] == [4, 5, 6, 7]
    assert all(0 < len(str(each)) < 1000 for each in found)


def told(path: Path) -> list[str]:
    return [f"{each.path.rpartition('.')[2]}: {each.message}" for each in problems(path)]


def outside(count: int) -> str:
    return ", ".join(f"u{n}@elsewhere.example" for n in range(count))


def test_an_alias_of_more_addresses_than_postfix_follows_is_refused() -> None:
    # 999 and two others through an alias of its own; who names it again is not told a second time.
    lists = [f"all: [half, {outside(999)}]", "half: [x@elsewhere.example, y@elsewhere.example]", "top: [all]"]
    message = "all: becomes 1001 addresses; Postfix follows 1000 and refuses the mail (4.6.0)"
    assert told(write(in_aliases(*lists))) == [message]
    assert told(write(in_aliases(f"all: [{outside(1000)}]"))) == []
    raised = "postfix: {main: {virtual_alias_expansion_limit: 2000}}\n"
    assert told(write(in_aliases(*lists) + raised)) == []


def test_a_chain_of_more_aliases_than_postfix_follows_is_refused() -> None:
    def chain(length: int) -> str:
        return in_aliases(*(f"a{n}: [a{n + 1}]" for n in range(1, length)), f"a{length}: [x@elsewhere.example]")

    message = "leads through 1000 aliases one after another; Postfix follows fewer than 1000"
    assert told(write(chain(1200))) == [f"a201: {message}"]
    assert told(write(chain(999))) == []


def test_every_problem_raised_at_once_and_in_order() -> None:
    path = write("tls: {self_signed: maybe}\nserver: {hostname: mx1}\nversion: 1\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert caught.value.exit_code is ExitCode.SPEC_INVALID
    assert caught.value.message == "mail.yml is not valid: 2 problems"
    assert [each.origin.line for each in caught.value.problems] == [1, 2]


def test_warnings_do_not_stop_a_load() -> None:
    path = write(BASE + "relays: {isp: {hosts: ['[smtp.isp.example]:587']}}\n")
    assert [each.severity for each in problems(path)] == [Severity.WARNING]
    assert list(load_spec(path).relays) == ["isp"]


def test_a_host_is_the_spec_with_its_overrides() -> None:
    overrides = "mx2: {server: {hostname: mx2.example.org, role: backup-mx}, domains: {example.org: {quota: 1G}}}"
    path = write(
        f"{BASE}domains: {{example.org: {{quota: 5G, mailboxes: {{}}}}}}\nhosts:\n  mx1: {{}}\n  {overrides}\n"
    )
    assert load_spec(path).server.role is Role.FULL
    spec = load_spec(path, "mx2")
    assert (spec.server.role, spec.server.hostname) == (Role.BACKUP_MX, "mx2.example.org")
    assert spec.domains["example.org"].quota == 2**30
    assert spec.origin("domains", "example.org", "quota") == Origin("mail.yml", 7, 94)
    assert load_spec(path, "mx1").model_dump() == load_spec(path).model_dump()


def test_a_host_that_is_not_in_the_spec_gets_a_suggestion() -> None:
    path = write(f"{BASE}hosts: {{mx1: {{}}}}\n")
    with pytest.raises(UsageError, match="no host 'mx'") as caught:
        load_spec(path, "mx")
    assert caught.value.hint == "did you mean 'mx1'?"


def test_values_of_included_files_know_where_they_were_written() -> None:
    write("domains:\n  Example.org:\n    mailboxes:\n      Bob: {password: {file: bob}}\n", "users.d/a.yml")
    write(f"{HASH}\n", "users.d/bob")
    write(f'address,quota,password_hash\ncarl@EXAMPLE.org, 5G ,"{HASH}"\n', "users.csv")
    path = write(f"include: [users.d/*.yml, users.csv]\ndomains: {{}}\n{BASE}")
    spec = load_spec(path)
    mailboxes = spec.domains["example.org"].mailboxes
    assert (list(mailboxes), mailboxes["carl"].quota) == (["bob", "carl"], 5 * 2**30)
    assert mailboxes["bob"].password.value == HASH
    assert mailboxes["carl"].password.value == HASH
    assert spec.origin("domains", "example.org") == Origin("users.d/a.yml", 2, 3)
    assert spec.origin("domains", "example.org", "mailboxes", "bob") == Origin("users.d/a.yml", 4, 7)
    assert spec.origin("domains", "example.org", "mailboxes", "carl") == Origin("users.csv", 2, 1)
    assert spec.origin("domains", "example.org", "mailboxes", "carl", "quota") == Origin("users.csv", 2, 18)
    assert spec.origin("server", "hostname") == Origin("mail.yml", 4, 20)
    assert spec.origin("server", "message_size") == Origin("mail.yml", 4, 1)


def test_secret_files_are_relative_to_the_file_that_names_them() -> None:
    write("hunter2\n", "sub/secrets/isp")
    write(
        "relays:\n  isp: {hosts: ['[a.example]:587'], username: u, password: {file: secrets/isp}}\n", "sub/relays.yml"
    )
    spec = load_spec(write(f"include: [sub/relays.yml]\n{BASE}"))
    password = spec.relays["isp"].password
    assert password is not None
    assert password.value == "hunter2"
    assert "hunter2" not in repr(spec)


def test_the_spec_is_found_in_the_order_the_manual_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no spec: neither mailctl\.yml nor"):
        find_spec(None)
    write(BASE, "mailctl.yml")
    assert find_spec(None) == Path("mailctl.yml")
    monkeypatch.setenv("MAILCTL_SPEC", "other.yml")
    assert find_spec(None) == Path("other.yml")
    assert find_spec(Path("given.yml")) == Path("given.yml")
