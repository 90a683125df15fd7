"""What every record of the spec is, and how a field of one is documented."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Frozen; unknown keys are refused. Built when the first spec is read, which many commands never do."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def documented(description: str, renders: str = "", **options: Any) -> Any:
    """A field with its meaning and what it renders to; `mailctl explain` prints both."""
    return Field(description=description, json_schema_extra={"renders": renders} if renders else None, **options)
