"""Reading main.cf and master.cf as Postfix does: logical lines, no expansion; postconf(5), master(5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def main_parameters(text: str) -> Mapping[str, str]:
    """Parameter names and values; of two the last counts."""
    pairs = (line.partition("=") for line in _logical_lines(text))
    return {name.strip(): " ".join(value.split()) for name, _, value in pairs}


def host_name(main_cf: str) -> str:
    """The name the server gives itself, as a client may repeat it; `localhost` where main.cf does not spell it out."""
    name = main_parameters(main_cf).get("myhostname", "")
    return name if name and "$" not in name else "localhost"


def master_services(text: str) -> Mapping[str, str]:
    """Services as `name/type`, and the rest of their lines, options included; of a broken line it is empty."""
    found = {}
    for line in _logical_lines(text):
        name, kind, rest = (*line.split(maxsplit=2), "", "")[:3]
        found[f"{name}/{kind}"] = " ".join(rest.split())
    return found


def _logical_lines(text: str) -> Iterator[str]:
    """A line that starts with white space continues the one before; comments and empty lines between do not count."""
    current = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            current += line
            continue
        if current:
            yield current
        current = line
    if current:
        yield current
