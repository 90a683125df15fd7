"""Where the program starts. Importing the rest takes longer than somebody needs to press Ctrl-C."""

import _signal  # type: ignore[import-not-found] # what `signal` is made of, without the enums that take a while
import os

STOPPING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
STDERR = 2
INTERRUPTED = 130  # as ExitCode has it, which is not imported yet


def main() -> None:
    """Run the command line; a signal that comes before it can be heard there ends the process at once."""
    for each in STOPPING:
        # Ignored from the start means by the wish of who started us, such as nohup(1).
        if _signal.getsignal(each) != _signal.SIG_IGN:
            _signal.signal(each, _quit)
    # Who starts us in a lab holds signals back until there is somebody to hear them.
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, STOPPING)
    from mailctl.cli import main as run

    run()


def _quit(number: int, frame: object) -> None:
    os.write(STDERR, b"mailctl: interrupted\n")
    os._exit(INTERRUPTED)
