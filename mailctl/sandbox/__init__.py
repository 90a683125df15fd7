"""A private mail server and the world around it, in namespaces of their own.

Nothing here knows what a spec is. `Sandbox` starts and ends one; `supervisor` is the outside world
(DNS, SMTP servers that record what reaches them), `init` is process 1 of the server.
"""

from mailctl.sandbox.faults import Fault
from mailctl.sandbox.received import ReceivedMessage
from mailctl.sandbox.sandbox import Sandbox
from mailctl.sandbox.settings import Settings

__all__ = ["Fault", "ReceivedMessage", "Sandbox", "Settings"]
