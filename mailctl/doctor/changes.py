"""What is different from the last time: for a mail that comes only when there is news."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from mailctl.doctor.model import Diagnosis, Finding, Verdict
from mailctl.errors import MailctlError
from mailctl.host import Host, create_whole

FORMAT_VERSION = "1"
MODE = 0o600
# What was skipped or fine is no news when it was not there before.
QUIET = (Verdict.OK, Verdict.SKIP)

# Check and subject to verdict.
Known = Mapping[tuple[str, str], Verdict]


def read_known(host: Host, path: PurePosixPath) -> Known:
    """What the last run found; nothing where there was none.

    Raises:
        MailctlError: the file is damaged.
    """
    content = host.read(path)
    if content is None:
        return {}
    try:
        rows = json.loads(content)["found"]
        return {(str(check), str(subject)): Verdict(verdict) for check, subject, verdict in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise MailctlError(f"{path} cannot be read: {error!r}", hint="remove it: everything is news then") from error


def write_known(host: Host, path: PurePosixPath, diagnoses: Sequence[Diagnosis], known: Known) -> None:
    """Keep what was found for the next run; what nobody looked at now stays as it was known."""
    looked_at = {each.check for each in diagnoses if each.verdict is not Verdict.SKIP}
    kept = {key: verdict for key, verdict in known.items() if key[0] not in looked_at}
    rows = [[*key, verdict.value] for key, verdict in (kept | _verdicts(diagnoses)).items()]
    text = json.dumps({"format_version": FORMAT_VERSION, "found": rows}, indent=1)
    host.make_directory(path.parent, 0o700)
    create_whole(host, path, f"{text}\n".encode(), MODE)


def news(diagnoses: Sequence[Diagnosis], known: Known) -> Iterator[tuple[str, Finding]]:
    """Findings whose verdict changed, by check; what is well again comes as a finding that says so."""
    looked_at = {each.check for each in diagnoses if each.verdict is not Verdict.SKIP}
    for diagnosis in diagnoses:
        for finding in diagnosis.findings:
            if finding.verdict not in QUIET and known.get((diagnosis.check, finding.subject)) != finding.verdict:
                yield diagnosis.check, finding
    verdicts = _verdicts(diagnoses)
    for (check, subject), verdict in known.items():
        if verdict not in QUIET and (check, subject) not in verdicts and check in looked_at:
            yield check, Finding(Verdict.OK, subject, f"{subject}: well again")


def _verdicts(diagnoses: Iterable[Diagnosis]) -> dict[tuple[str, str], Verdict]:
    return {
        (diagnosis.check, finding.subject): finding.verdict
        for diagnosis in diagnoses
        for finding in diagnosis.findings
        if finding.verdict not in QUIET
    }
