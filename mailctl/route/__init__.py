"""What happens to the mail for one address: asked of a spec, or of the server that runs."""

from mailctl.route.compare import Difference, differences
from mailctl.route.journey import trace
from mailctl.route.live import LiveServer
from mailctl.route.model import AddressClass, Delivery, Hop, Journey, Mail, Step, StepKind
from mailctl.route.rendered import RenderedServer

__all__ = [
    "AddressClass",
    "Delivery",
    "Difference",
    "Hop",
    "Journey",
    "LiveServer",
    "Mail",
    "RenderedServer",
    "Step",
    "StepKind",
    "differences",
    "trace",
]
