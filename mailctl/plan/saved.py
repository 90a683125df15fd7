"""A plan kept in a file: not what to do, but what was shown, so that nothing else is done later.

Applying it makes the plan anew and compares: the digest covers every file of both sides and the generation
that serves, so a saved plan holds no secret.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mailctl.errors import BusyError, UsageError
from mailctl.plan.model import Plan

FORMAT = "mailctl plan 1"


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What binds a plan to its spec and host; `spec` is the absolute path of the spec file."""

    spec: str
    spec_sha256: str
    host: str | None
    digest: str
    summary: str

    @classmethod
    def of(cls, plan: Plan, spec: Path, spec_text: bytes, host: str | None, summary: str) -> SavedPlan:
        return cls(str(spec.resolve()), hashlib.sha256(spec_text).hexdigest(), host, plan.digest, summary)

    def as_bytes(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode() + b"\n"

    def require_same(self, plan: Plan, spec_text: bytes) -> None:
        """Return where `plan`, made now from `spec_text`, is the one that was saved.

        Raises:
            BusyError: the spec or the host moved since.
        """
        if hashlib.sha256(spec_text).hexdigest() != self.spec_sha256:
            raise _stale(f"{self.spec} changed")
        if plan.digest != self.digest:
            raise _stale("the server, or a file the spec includes, changed")


def load_saved_plan(path: Path) -> SavedPlan:
    """The plan that `mailctl plan --out` wrote to `path`.

    Raises:
        UsageError: there is none.
    """
    try:
        data = json.loads(path.read_bytes())
        if data.pop("format") != FORMAT:
            raise ValueError("another format")
        return SavedPlan(**data)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name a file `mailctl plan --out` wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no saved plan", hint="make one with `mailctl plan --out FILE`") from error


def _stale(what: str) -> BusyError:
    return BusyError(f"{what} since the plan was saved; nothing was done", hint="make a new plan, and read it")
