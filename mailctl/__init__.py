"""mailctl: one YAML spec of a mail server, rendered, planned, applied and proved."""

__version__ = "0.1.0"
