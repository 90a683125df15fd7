"""Secrets of the spec: where they may come from, read once, never shown.

A mailbox has a hash, `{hash: "{ARGON2ID}..."}` or a file holding one. A relay has a plain password
from a file or an environment variable. A literal password is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic_core.core_schema import ValidationInfo, with_info_plain_validator_function

from mailctl.spec.nodes import base_folder, read_secret
from mailctl.spec.value_types import ReadBy
from mailctl.spec.values.secret import VARIABLE, Secret

FORMS = ("hash", "file", "env")
MEANINGS = {
    "hash": "The hash itself, as `mailctl hash` prints it.",
    "file": "A file with the secret on its one line; relative to the file that names it.",
    "env": "The name of an environment variable with the secret.",
}
# Schemes of `doveadm pw -l` on Dovecot 2.3 that are not plain text in disguise.
HASH = re.compile(
    r"\{(?:ARGON2ID|ARGON2I|BLF-CRYPT|SHA512-CRYPT|SHA256-CRYPT|PBKDF2)(?:\.[A-Z0-9]+)?\}[A-Za-z0-9$./,=+\-]{20,512}"
)
# For mailboxes that need none (a backup MX stores no mail): a hash that no password ever matches.
NO_PASSWORD = Secret("{CRYPT}!", "nothing")
# Stands for one that could not be read, so that everything else of the spec is checked all the same.
UNREAD = Secret("", "unread")
# The validation context under which a faulty secret becomes UNREAD.
FORGIVING = {"faulty secrets": UNREAD}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_password_hash(value: Any) -> Secret:
    """The hash of a mailbox password.

    Raises:
        ValueError: not `{hash:}` or `{file:}`, or what is there is no hash of a strong scheme.
    """
    kind, argument = _reference(value, ("hash", "file"))
    secret = Secret(argument, "hash") if kind == "hash" else _read_file(argument, base_folder(value))
    if not HASH.fullmatch(secret.value):
        raise ValueError(
            f"the {secret.origin} is no password hash of a strong scheme; make one with `mailctl hash` (ARGON2ID)"
        )
    return secret


def read_plain_secret(value: Any) -> Secret:
    """A password to send to a relay.

    Raises:
        ValueError: not `{file:}` or `{env:}`, unreadable, empty, or more than one line.
    """
    kind, argument = _reference(value, ("file", "env"))
    secret = _read_variable(argument) if kind == "env" else _read_file(argument, base_folder(value))
    if not secret.value or not secret.value.isprintable():
        raise ValueError(f"the {secret.origin} must hold one line of printable text")
    if secret.value != secret.value.strip():
        raise ValueError(f"the {secret.origin} begins or ends with a space, which Postfix would leave out")
    return secret


def _reference(value: Any, allowed: tuple[str, ...]) -> tuple[str, str]:
    kind, argument = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else ("", None)
    if kind in allowed and isinstance(argument, str) and argument:
        return kind, argument
    if kind in allowed:
        raise ValueError(f"{kind} needs a text after it")
    choices = " or ".join(f"{{{each}: ...}}" for each in allowed)
    if isinstance(value, dict):
        raise ValueError(f"expected {choices} and no other key")
    raise ValueError(f"a secret is never written in the spec; use {choices}")


def _read_file(name: str, folder: Path) -> Secret:
    if ".." in Path(name).parts:
        raise ValueError(f"the file {name!r} climbs with '..'; write its absolute path")
    path = folder / name
    try:
        return Secret(read_secret(path), f"file {name}", path)
    except OSError as error:
        raise ValueError(
            f"cannot read the secret file {str(path)!r}: {(error.strerror or str(error)).lower()}"
        ) from None
    except UnicodeDecodeError:
        raise ValueError(f"the secret file {str(path)!r} is not UTF-8 text") from None


def _read_variable(name: str) -> Secret:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of an environment variable")
    if name not in os.environ:
        raise ValueError(f"the environment variable {name} is not set")
    return Secret(os.environ[name], f"{VARIABLE}{name}")


def _reader(read: Callable[[Any], Secret], *kinds: str) -> ReadBy:
    def validate(value: Any, info: ValidationInfo) -> Secret:
        try:
            return read(value)
        except ValueError:
            if info.context == FORGIVING:
                return UNREAD
            raise

    schema = {
        "type": "object",
        "title": "secret",
        "properties": {kind: {"type": "string", "description": MEANINGS[kind]} for kind in kinds},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return ReadBy(with_info_plain_validator_function(validate), schema)


PasswordHash = Annotated[Secret, _reader(read_password_hash, "hash", "file")]
PlainSecret = Annotated[Secret, _reader(read_plain_secret, "file", "env")]
