"""Restriction lists of the escape hatch: smtpd meets an unknown word only when a client comes, and answers 451 to all.

Source: postconf(5), "smtpd_recipient_restrictions" and its neighbours; SMTPD_ACCESS_README.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from mailctl.components.postfix.settings import HatchSetting, split_list
from mailctl.errors import Problem


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PLAIN = _words(
    """
    defer defer_if_permit defer_if_reject defer_unauth_destination
    permit permit_auth_destination permit_inet_interfaces permit_mx_backup permit_mynetworks
    permit_naked_ip_address permit_sasl_authenticated permit_tls_all_clientcerts permit_tls_clientcerts
    reject reject_authenticated_sender_login_mismatch reject_invalid_helo_hostname reject_invalid_hostname
    reject_known_sender_login_mismatch reject_multi_recipient_bounce reject_non_fqdn_helo_hostname
    reject_non_fqdn_hostname reject_non_fqdn_recipient reject_non_fqdn_sender reject_plaintext_session
    reject_sender_login_mismatch reject_unauth_destination reject_unauth_pipelining
    reject_unauthenticated_sender_login_mismatch reject_unknown_address reject_unknown_client
    reject_unknown_client_hostname reject_unknown_helo_hostname reject_unknown_hostname
    reject_unknown_recipient_domain reject_unknown_reverse_client_hostname reject_unknown_sender_domain
    reject_unlisted_recipient reject_unlisted_sender reject_unverified_recipient reject_unverified_sender
    warn_if_reject
    """
)
TAKE_TABLE = _words(
    """
    check_ccert_access check_client_a_access check_client_access check_client_mx_access check_client_ns_access
    check_etrn_access check_helo_a_access check_helo_access check_helo_mx_access check_helo_ns_access
    check_recipient_a_access check_recipient_access check_recipient_mx_access check_recipient_ns_access
    check_reverse_client_hostname_a_access check_reverse_client_hostname_access
    check_reverse_client_hostname_mx_access check_reverse_client_hostname_ns_access check_sasl_access
    check_sender_a_access check_sender_access check_sender_mx_access check_sender_ns_access
    """
)
TAKE_NAME = _words(
    """
    check_policy_service permit_dnswl_client permit_rhswl_client reject_rbl_client reject_rhsbl_client
    reject_rhsbl_helo reject_rhsbl_recipient reject_rhsbl_reverse_client reject_rhsbl_sender sleep
    """
)
KNOWN = PLAIN | TAKE_TABLE | TAKE_NAME
CLASSES = "smtpd_restriction_classes"

_LIST = re.compile(r"smtpd_\w+_restrictions")
_TABLE = re.compile(r"(?:proxy:)?\w+:\S.*")
_PARAMETER = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\}|(\w+))")


def restriction_problems(settings: Sequence[HatchSetting]) -> Iterator[Problem]:
    """Words no Postfix knows, and arguments that are missing, in restriction lists and in what they name."""
    classes = [name for each in settings if each.name == CLASSES for name in split_list(each.value)]
    for setting in _restriction_lists(settings, classes):
        yield from _word_problems(setting, KNOWN.union(classes))


def _restriction_lists(settings: Iterable[HatchSetting], classes: Iterable[str]) -> Iterator[HatchSetting]:
    """Lists by their name, restriction classes, and parameters that are named as `$name` in one of these."""
    names = set(classes)
    waiting = list(settings)
    while found := [each for each in waiting if each.name in names or _LIST.fullmatch(each.name)]:
        yield from found
        names.update(name for each in found for groups in _PARAMETER.findall(each.value) for name in groups if name)
        waiting = [each for each in waiting if each not in found]


def _word_problems(setting: HatchSetting, known: frozenset[str]) -> Iterator[Problem]:
    words = iter(split_list(setting.value))
    follows_misspelt = False
    for word in words:
        is_known = word in known or "$" in word or bool(_TABLE.fullmatch(word))  # a bare table means check_*_access
        if not is_known and not follows_misspelt:  # what follows may be its argument
            yield setting.value_problem(f"Postfix knows no restriction {word!r}", _hint(word, known))
        elif word in TAKE_TABLE | TAKE_NAME:
            yield from _argument_problems(setting, word, next(words, ""))
        follows_misspelt = not is_known


def _argument_problems(setting: HatchSetting, word: str, argument: str) -> Iterator[Problem]:
    if not argument or argument in KNOWN:
        what = "a table, type:name" if word in TAKE_TABLE else "a value"
        yield setting.value_problem(f"{word} needs {what} after it", "see postconf(5)")
    elif word in TAKE_TABLE and "$" not in argument and not _TABLE.fullmatch(argument):
        yield setting.value_problem(f"{argument!r} after {word} is not a table", "write it as type:name")


def _hint(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, sorted(known), n=1)
    return f"did you mean {close[0]!r}?" if close else "see postconf(5)"
