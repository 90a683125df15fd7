"""The public key record of a signature, asked for in the DNS."""

from __future__ import annotations

from mailctl.dkim.public_key import KeyAnswer
from mailctl.dkim.rotation import Sighting
from mailctl.dns.answer import Outcome
from mailctl.dns.resolve import Resolver

KNOWN = (Outcome.FOUND, Outcome.NO_DATA, Outcome.NXDOMAIN)


def find_public_key(resolver: Resolver, name: str) -> KeyAnswer:
    """The one TXT record at `name` that looks like a key; what is there otherwise, in words."""
    answer = resolver.ask(name, "TXT")
    if answer.outcome is not Outcome.FOUND:
        is_temporary = not (answer.outcome.is_absent or answer.outcome is Outcome.MALFORMED)
        return KeyAnswer(problem=str(answer), is_temporary=is_temporary)
    records = [value for value in answer.values if looks_like_key(value)]
    if len(records) != 1:
        return KeyAnswer(problem="no record of a key" if not records else f"{len(records)} records instead of one")
    return KeyAnswer(records[0])


def find_sightings(resolver: Resolver, name: str) -> tuple[Sighting, ...]:
    """What every server of the zone shows at the name of a public key record; caches are not asked."""
    return tuple(
        Sighting(
            str(said.server),
            records=tuple(filter(looks_like_key, said.answer.values)),
            absence=str(said.answer) if said.answer.outcome.is_absent else "",
            failure="" if said.answer.outcome in KNOWN else str(said.answer),
        )
        for said in resolver.ask_authoritative(name, "TXT")
    )


def looks_like_key(record: str) -> bool:
    """Whether a TXT record is meant as a public key, be it broken: others may stand at the same name."""
    return record.startswith("v=DKIM1") or any(tag.strip().startswith("p=") for tag in record.split(";"))
