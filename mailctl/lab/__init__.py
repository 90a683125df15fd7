"""The lab: a private server that stays up, made from a spec by the very apply that makes a real one."""

from mailctl.lab.places import enter

__all__ = ["enter"]
