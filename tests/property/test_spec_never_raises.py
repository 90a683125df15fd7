"""Whatever bytes a spec holds, reading it ends in problems or a spec, never in another exception."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailctl.errors import Problem
from mailctl.spec.load import problems

BASE = "version: 1\nserver: {hostname: mx1.example.org}\ntls: {self_signed: true}\n"
WORDS = (
    "version: 1\n", "server:", "hostname", "tls", "domains", "example.org", "mailboxes", "password", "file", "hash",
    "aliases", "catch_all", "relays", "routes", "via", "to", "from", "hosts", "include", "quota", "preset", "region",
    "amazon-ses", "direct", "ali", "5G", "null", "~", "no", "'", '"', "{", "}", "[", "]", ": ", ", ", "- ", "\n", "  ",
    "\n  ", "\n    ", "&a ", "*a", "!!str ", "<<", "|\n", ">\n", "#", "? ", "---\n", "...\n", "\t", "%", "@", "\u00e9",
    "/^a$/",
)  # fmt: skip
MORE_TIME = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.none() | st.sampled_from(WORDS) | st.text(max_size=12)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
)


def check(content: bytes, name: str = "mail.yml") -> list[Problem]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        found = problems(path)
        for each in found:
            assert str(each).replace("\n", "").replace("\t", "").isprintable()
        return found


@MORE_TIME
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    assert check(content)


@MORE_TIME
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_order_of_the_words_of_a_spec(words: list[str]) -> None:
    check("".join(words).encode())


@MORE_TIME
@given(st.dictionaries(st.sampled_from([word for word in WORDS if word.isidentifier()]), values, max_size=5))
def test_any_values_under_known_keys(spec: dict[str, object]) -> None:
    import json

    # JSON is YAML here; control characters arrive as escapes, which is how they get past the file's own check.
    text = json.dumps({"version": 1, "server": {"hostname": "mx1.example.org"}, **spec})
    check(text.encode())


@MORE_TIME
@given(st.data())
def test_any_damage_to_a_good_spec(data: st.DataObject) -> None:
    good = Path(__file__).parents[2].joinpath("examples/mail.yml").read_bytes()
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged) - 1))
        damaged[start : start + data.draw(st.integers(0, 20))] = data.draw(st.sampled_from(WORDS)).encode()
    check(bytes(damaged))


@MORE_TIME
@given(
    st.lists(st.sampled_from(["address", "quota", "password_hash", ",", "\n", '"', "a@example.org", "x", "\r", ";"]))
)
def test_any_table(parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "users.csv").write_text("".join(parts))
        path = Path(folder, "mail.yml")
        path.write_text(f"{BASE}domains: {{example.org: {{}}}}\ninclude: [users.csv]\n")
        for each in problems(path):
            assert str(each)


def test_no_literal_password_is_ever_shown() -> None:
    """Whatever is wrong around it: the value of a key that looks like `password` stays out of every message."""
    shuffled = random.Random(1)  # noqa: S311 - a test that repeats itself
    faults = ["{", "}", "[", ",", ":", '"', "'", "\n", "  ", "\t", "quota: 5x", "&a", "- ", "kind: no", "@", "|", "?"]
    for _ in range(1500):
        line = f"password: {shuffled.choice(['', '{hash: ', '{plain: ', '[', '>' + chr(10) + '          '])}hunter2"
        text = f"{BASE}domains:\n  example.org:\n    mailboxes:\n      ali:\n        {line}\n        quota: 5x\n"
        for _ in range(shuffled.randint(0, 3)):
            at = shuffled.randrange(len(text))
            if not text.find("hunter2") - 12 <= at <= text.find("hunter2") + 7:
                text = text[:at] + shuffled.choice(faults) + text[at:]
        for each in check(text.encode()):
            assert "hunter2" not in str(each), text
