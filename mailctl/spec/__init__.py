"""The spec: read, typed, checked across records, explained."""

import os

# pydantic would search every installed package for plugins: 25 ms, and foreign code in a process of root.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
