"""DKIM: is the key that signs the one the world sees, and can verifiers use it; RFC 6376 section 3.6.1, RFC 8301."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailctl.dkim.states import Stage
from mailctl.dkim.tags import key_bytes, parse_tags, rsa_bits
from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.facts import PublicKey
from mailctl.dns.judge import TROUBLES, Judge, absence
from mailctl.dns.record import Record
from mailctl.dns.verdict import Check, Verdict

SHORTEST_KEY = 2048  # bits


def check_dkim(judge: Judge, selector: str) -> Iterator[Verdict]:
    """The record of the key that signs where the spec names `selector`, and those of other keys on disk."""
    keys = {key.selector: key for key in judge.facts.keys_of(judge.domain)}
    signing = judge.facts.signing_selector(judge.domain, selector)
    yield from _check_selector(judge, signing, keys.pop(signing, None))
    for key in keys.values():
        match key.stage:
            case Stage.SIGNING | Stage.REPLACED:
                yield from _check_selector(judge, key.selector, key)
            case Stage.PENDING:
                yield from _check_pending(judge, key)
            case Stage.RETIRED:
                yield from _check_retired(judge, key)


def _check_selector(judge: Judge, selector: str, key: PublicKey | None) -> Iterator[Verdict]:
    """A key that verifiers need now."""
    name = f"{selector}._domainkey.{judge.domain}"
    answer = judge.ask(name, "TXT")
    wanted = judge.records(name, "TXT")
    if answer.outcome.is_absent:
        yield judge.verdict(Check.DKIM_MISSING, name, absence(answer), *wanted)
    elif answer.outcome is not Outcome.FOUND:
        yield from judge.trouble(answer)
    elif len(answer.values) > 1:
        found = f"{len(answer.values)} TXT records at {name}"
        yield judge.verdict(Check.DKIM_MULTIPLE, name, found, *wanted, answer=answer)
    else:
        yield from _check_record(judge, answer, key, wanted)


def _check_pending(judge: Judge, key: PublicKey) -> Iterator[Verdict]:
    answer = judge.ask(key.name, "TXT")
    yield from judge.trouble(answer)
    if not _holds_key(answer, key.record) and answer.outcome not in TROUBLES:
        wanted = judge.records(key.name, "TXT")
        found = f"the key {key.selector} is ready to take over, and its record is not there ({answer.outcome})"
        yield judge.verdict(Check.DKIM_PENDING, key.name, found, *wanted, answer=answer)


def _check_retired(judge: Judge, key: PublicKey) -> Iterator[Verdict]:
    answer = judge.ask(key.name, "TXT")
    yield from judge.trouble(answer)
    if any(_key_of(text) for text in answer.values):
        wanted = judge.records(key.name, "TXT")
        found = f"the record of the retired key {key.selector} still holds it"
        yield judge.verdict(Check.DKIM_NOT_RETIRED, key.name, found, *wanted, answer=answer)


def _holds_key(answer: Answer, record: str) -> bool:
    return any(_key_of(text) == _key_of(record) for text in answer.values)


def _key_of(text: str) -> bytes:
    try:
        return key_bytes(parse_tags(text).get("p", ""))
    except ValueError:
        return b""


def _check_record(judge: Judge, answer: Answer, key: PublicKey | None, wanted: tuple[Record, ...]) -> Iterator[Verdict]:
    name = answer.question.name

    def verdict(check: Check, found: str) -> Verdict:
        return judge.verdict(check, name, found, *wanted, answer=answer)

    try:
        tags = parse_tags(answer.values[0])
        published = key_bytes(_required(tags, "p"))
        if fault := _fault(tags):
            raise ValueError(fault)
        bits = rsa_bits(published) if published and tags.get("k", "rsa") == "rsa" else SHORTEST_KEY
    except ValueError as error:
        yield verdict(Check.DKIM_INVALID, f"{error}; in {answer.values[0][:120]!r}")
        return
    if not published:
        yield verdict(Check.DKIM_REVOKED, f"p= is empty at {name}")
    elif key and published != _key_of(key.record):
        yield verdict(Check.DKIM_MISMATCH, f"the key at {name} is not the one on disk")
    if bits < SHORTEST_KEY:
        yield verdict(Check.DKIM_SHORT, f"the RSA key at {name} has {bits} bits")
    if "y" in _words(tags.get("t", "")):
        yield verdict(Check.DKIM_TESTING, f"t={tags['t']} at {name}")


def _fault(tags: Mapping[str, str]) -> str:
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
        return "v=DKIM1 must come first"
    if tags.get("k", "rsa") not in ("rsa", "ed25519"):
        return f"k={tags['k']} is no key type"
    if "h" in tags and "sha256" not in _words(tags["h"]):
        return f"h={tags['h']} leaves out sha256"
    if not {"*", "email"} & set(_words(tags.get("s", "*"))):
        return f"s={tags['s']} leaves out email"
    return ""


def _required(tags: Mapping[str, str], tag: str) -> str:
    if tag not in tags:
        raise ValueError(f"{tag}= is missing")
    return tags[tag]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(":")]
