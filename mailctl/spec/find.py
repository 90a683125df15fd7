"""Which file is the spec."""

from __future__ import annotations

import os
from pathlib import Path

from mailctl.errors import UsageError

SPEC_VARIABLE = "MAILCTL_SPEC"
USUAL_PLACES = (Path("mailctl.yml"), Path("/etc/mailctl/mailctl.yml"))


def find_spec(given: Path | None) -> Path:
    """The spec file: `given`, MAILCTL_SPEC, ./mailctl.yml, /etc/mailctl/mailctl.yml, the first that there is.

    One that was named is taken even where no file is: reading it says what is wrong.

    Raises:
        UsageError: nobody named a spec and none is at the usual places.
    """
    if given is not None:
        return given
    if named := os.environ.get(SPEC_VARIABLE):
        return Path(named)
    for path in USUAL_PLACES:
        if _may_exist(path):
            return path
    raise UsageError(
        f"no spec: neither {' nor '.join(map(str, USUAL_PLACES))} exists",
        hint=f"name one with -f FILE or {SPEC_VARIABLE}, or write a first one with `mailctl init`",
    )


def _may_exist(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # in a folder this user may not enter: reading it says so
