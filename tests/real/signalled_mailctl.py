"""mailctl that is sent a signal at one moment of its work: when it asks something of the host, in one of its phases.

signalled_mailctl.py count FILE ARGUMENT...                   writes how many such moments each phase has
signalled_mailctl.py PHASE NUMBER SIGNAL ARGUMENT...          sends the signal at one of them, and makes the file `sent`
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import mailctl.host
from mailctl.entry import main

PACKAGE = str(Path(mailctl.__file__).parent)
HOST = str(Path(mailctl.host.__file__).parent)
# The function at work decides; of several on the stack the innermost.
PHASES = {
    "load_spec": "read",
    "make_plan": "plan",
    "make_rollback_plan": "plan",
    "require_ready": "plan",
    "stage_files": "stage",
    "build": "build",
    "check": "check",
    "rehearse": "canary",
    "stage_generation": "stage",
    "prepare": "commit",
    "commit": "commit",
    "perform": "reload",
    "verify_live": "verify",
    "probe_live": "probe",
    "end_sessions": "sessions",
    "finish": "keep",
    "prune": "prune",
}
SENT = Path(__file__).with_name("sent")
Profile = Callable[[FrameType, str, object], None]


def phase_of(frame: FrameType | None) -> str | None:
    while frame is not None:
        if frame.f_code.co_name in PHASES and frame.f_code.co_filename.startswith(PACKAGE):
            return PHASES[frame.f_code.co_name]
        frame = frame.f_back
    return None


def watch(seen: Counter[str], at_moment: Callable[[str, int], None]) -> Profile:
    ours = os.getpid()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        is_moment = frame.f_code.co_filename.startswith(HOST) or frame.f_code.co_name in PHASES
        if event == "call" and is_moment and os.getpid() == ours and (phase := phase_of(frame)):
            seen[phase] += 1
            at_moment(phase, seen[phase])

    return profile


def count(file: Path) -> None:
    seen: Counter[str] = Counter()
    sys.setprofile(watch(seen, lambda phase, number: None))
    try:
        main()
    finally:
        sys.setprofile(None)
        file.write_text(json.dumps(seen))


def send(wanted: tuple[str, int], number: int) -> None:
    def at_moment(phase: str, moment: int) -> None:
        if (phase, moment) == wanted:
            SENT.touch()
            os.kill(os.getpid(), number)

    sys.setprofile(watch(Counter(), at_moment))
    main()


if __name__ == "__main__":
    if sys.argv[1] == "count":
        words, sys.argv[1:] = sys.argv[1:3], sys.argv[3:]
        count(Path(words[1]))
    else:
        words, sys.argv[1:] = sys.argv[1:4], sys.argv[4:]
        send((words[0], int(words[1])), signal.Signals[f"SIG{words[2]}"])
