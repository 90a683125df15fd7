"""Specs that are as large, deep or strange as the limits allow, and some beyond: what an apply of each costs.

Ten seconds of processor time and 512 MB are promised; PyYAML's fastest loader, which only reads, is the peer.

python -m bench.limits    all of them, about three minutes
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.arguments import parser
from bench.specs import HASH, write_spec
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module

MOST_SECONDS, MOST_MEGABYTES = 10, 512
PYYAML = "import sys, yaml; yaml.load(open(sys.argv[1]).read(), Loader=yaml.CSafeLoader)"
HEAD = "version: 1\nserver: {hostname: mx1.example.com}\ntls: {self_signed: true}\n"
ALI = f'      ali: {{password: {{hash: "{HASH}"}}}}\n'
DOMAIN = f"domains:\n  example.org:\n    mailboxes:\n{ALI}    aliases:\n"


def hundred_thousand_addresses(folder: Path) -> str:
    return write_spec(folder, 100_000).read_text()


def chain_of_aliases(folder: Path) -> str:
    rows = "".join(f"      a{number}: [a{number + 1}]\n" for number in range(20_000))
    return f"{HEAD}{DOMAIN}{rows}      a20000: [ali]\n"


def web_of_aliases(folder: Path) -> str:
    everybody = ", ".join(f"a{number}" for number in range(300))
    return HEAD + DOMAIN + "".join(f"      a{number}: [{everybody}]\n" for number in range(300))


def alias_for_everybody(folder: Path) -> str:
    everybody = ", ".join(f"x{number}@elsewhere.example" for number in range(20_000))
    return f"{HEAD}{DOMAIN}      all: [{everybody}]\n"


def patterns(folder: Path) -> str:
    return HEAD + DOMAIN + "".join(f'      "/^(a+)+{number}$/": [ali]\n' for number in range(5_000))


def domains(folder: Path) -> str:
    rows = (f"  d{number}.example:\n    dkim: {{selector: s1}}\n    mailboxes:\n{ALI}" for number in range(3_000))
    return f"{HEAD}domains:\n{''.join(rows)}"


def routes(folder: Path) -> str:
    rows = "".join(f"  - {{to: [d{number}.example], via: {{host: 192.0.2.7}}}}\n" for number in range(10_000))
    return f"{HEAD}{DOMAIN}      info: [ali]\nroutes:\n{rows}"


def includes(folder: Path) -> str:
    for number in range(1_000):
        (folder / f"part{number}.yml").write_text(
            f"domains: {{d{number}.example: {{aliases: {{x: [x@e.example]}}}}}}\n"
        )
    return f"{HEAD}{DOMAIN}      info: [ali]\ninclude: [part*.yml]\n"


def settings(folder: Path) -> str:
    rows = "".join(f"    p{number}_destination_rate_delay: 1s\n" for number in range(3_000))
    return f"{HEAD}{DOMAIN}      info: [ali]\npostfix:\n  main:\n{rows}"


def deep(folder: Path) -> str:
    return HEAD + "domains: " + "[" * 100_000


def one_long_line(folder: Path) -> str:
    return f"{HEAD}{DOMAIN}      info: [{'x' * 10_000_000}]\n"


def most_short_values(folder: Path) -> str:
    return HEAD + DOMAIN + "".join(f"      a{number}: [ali]\n" for number in range(200_000))


def too_many_values(folder: Path) -> str:
    return HEAD + DOMAIN + "".join(f"      a{number}: [ali]\n" for number in range(1_500_000))


def too_many_in_a_table(folder: Path) -> str:
    rows = "".join(f"a{number}@example.org,\n" for number in range(1_500_000))
    (folder / "users.csv").write_text(f"address,quota\n{rows}")
    return f"{HEAD}{DOMAIN}      info: [ali]\ninclude: [users.csv]\n"


def too_many_files(folder: Path) -> str:
    for number in range(5):
        (folder / f"part{number}.yml").write_text(f"domains: {{}}  # {'x' * 10_000_000}\n")
    return f"{HEAD}{DOMAIN}      info: [ali]\ninclude: [part*.yml]\n"


def comments(folder: Path) -> str:
    return f"{HEAD}{DOMAIN}      info: [ali]\n" + "# c\n" * 7_000_000


def misspelt_keys(folder: Path) -> str:
    return HEAD + DOMAIN + "      info: [ali]\n" + "".join(f"domians{number}: 1\n" for number in range(20_000))


def unknown_targets(folder: Path) -> str:
    return HEAD + DOMAIN + "".join(f"      a{number}: [alli{number}]\n" for number in range(20_000))


SPECS: tuple[Callable[[Path], str], ...] = (
    hundred_thousand_addresses,
    chain_of_aliases,
    web_of_aliases,
    alias_for_everybody,
    patterns,
    domains,
    routes,
    includes,
    settings,
    deep,
    one_long_line,
    most_short_values,
    too_many_values,
    too_many_in_a_table,
    too_many_files,
    comments,
    misspelt_keys,
    unknown_targets,
)


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds of processor time and peak memory in MB."""

    code: int
    seconds: float
    memory: float


def apply_to_folder(spec: Path, machine: Path, output: Path) -> Cost:
    """Applies `spec` to an empty folder; what it says goes to `output`."""
    machine.mkdir()
    return _run(python_module("mailctl", "-f", str(spec), "apply", "-y", "--root", str(machine)), output)


def name_of(make: Callable[[Path], str]) -> str:
    return make.__name__.replace("_", " ")


def main() -> None:
    parser("bench.limits", __doc__).parse_args()
    for make in SPECS:
        with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as name:
            folder = Path(name)
            spec = folder / "mail.yml"
            spec.write_text(make(folder))
            cost = apply_to_folder(spec, folder / "machine", folder / "out")
            peer = _run([sys.executable, "-c", PYYAML, str(spec)], folder / "out")
        verdict = "" if cost.seconds <= MOST_SECONDS and cost.memory <= MOST_MEGABYTES else "  MISSED"
        alone = f"PyYAML alone {peer.seconds:5.1f} s" if peer.code == 0 else "PyYAML gives up"
        print(f"{name_of(make):27}exit {cost.code:2}  {cost.seconds:5.1f} s  {cost.memory:4.0f} MB  {alone}{verdict}")


def _run(words: list[str], output: Path) -> Cost:
    with output.open("wb") as said:
        process = subprocess.Popen(words, env=PYTHON_ENVIRONMENT, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)  # KiB, getrusage(2)


if __name__ == "__main__":
    main()
