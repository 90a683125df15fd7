"""`mailctl doctor`: the whole server on one screen, and for everything that is wrong what mends it.

from mailctl.doctor import examine
diagnoses = examine(host, load_spec)        # never raises for what it finds; bounded in time
"""

from mailctl.doctor.model import Diagnosis, Finding, Verdict
from mailctl.doctor.run import examine, select_checks

__all__ = ["Diagnosis", "Finding", "Verdict", "examine", "select_checks"]
