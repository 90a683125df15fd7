"""The same server in memory as for apply."""

from tests.unit.apply.conftest import server

__all__ = ("server",)
