"""Lines that any daemon may write, and daemons that write nothing else."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from mailctl.maillog.tally import add_count

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting, Handler

PROGRAMS = (
    *(b"master", b"anvil", b"scache", b"trivial-rewrite", b"proxymap", b"proxywrite", b"verify", b"tlsmgr", b"flush"),
    *(b"showq", b"postdrop", b"sendmail", b"postqueue", b"postfix-script", b"postlog", b"postlogd", b"postalias"),
    *(b"postmap", b"postconf", b"postfix", b"spawn", b"qmqpd", b"smtp-sink", b"postmulti"),
    *(b"postkick", b"postlock", b"postcat", b"aliases", b"set-permissions", b"postmulti-script", b"post-install"),
)

LEVELS = (b"warning: ", b"fatal: ", b"panic: ", b"error: ")
_KNOWN = (
    *(b"statistics: ", b"daemon started ", b"reload ", b"terminating on signal ", b"starting the Postfix mail system"),
    *(b"stopping the Postfix mail system", b"refreshing the Postfix mail system", b"the Postfix mail system is "),
    *(b"table ", b"proxymap ", b"idle timeout", b"close database ", b"cache ", b"Postfix is ", b"info: ", b"open "),
    *(b"using backwards-compatible default setting ", b"rebuilding ", b"opened ", b"lookup ", b"Deleted: ", b"master "),
    *(
        b"connect to ",
        b"lost connection with ",
        b"conversation with ",
        b"postfix/",
        b"name_mask: ",
        b"dict_",
        b"watchdog",
    ),
    *(b"Using ", b"Removing ", b"waiting for ", b"Compatibility ", b"To disable backwards compatibility"),
    *(b"Please ", b"See http", b"adding missing entry ", b"re-", b"enabling ", b"disabling "),
)


def service(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    return common(counting, service, queue_id, text) or text.startswith(_KNOWN)


def common(counting: Counting, handler: Handler, queue_id: bytes, text: bytes) -> bool:
    """Warnings, what comes with a configuration that was read again, and repeated lines."""
    if text.startswith(LEVELS):
        level, _, words = text.partition(b": ")
        add_count(counting.tally.warnings, b"%s: %s: %s" % (handler.__name__.encode(), level, general(words)))
        return True
    if text.startswith(b"message repeated "):
        return counting.repeated(handler, text)
    return text.startswith((b"table ", b"reload ", b"terminating on signal ", b"using backwards-compatible "))


_CHANGING = re.compile(
    rb"""(?x)
    sasl_username=[^\s,;]{1,255}                   # whoever somebody tried to be
    | [\w.-]{1,255}\[[^\]\s]{1,100}\](?::\d+)?      # host[address]:port
    | \[[0-9a-fA-F.:]{2,45}\](?::\d+)?              # [address]
    | \b\d{1,3}(?:\.\d{1,3}){3}\b                   # an address by itself
    | [\w.+=-]{1,64}@[\w.-]{1,255}                  # a mail address
    | \b(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[\w.-]{10,} # queue ids and other ids
    | \b\d{5,}\b                                    # process ids, counts
    """
)
_QUOTED = re.compile(rb"<[^<>]{0,400}>")  # an address, as a reply quotes it
_LONGEST = 500  # bytes of a text looked at: what tells causes apart comes first


@lru_cache(maxsize=20_000)
def general(text: bytes) -> bytes:
    """A text without the parts that differ from one message to the next, so that equal causes are equal."""
    return b" ".join(map(_general_word, _QUOTED.sub(b"<>", text[:_LONGEST]).split()))


@lru_cache(maxsize=20_000)
def _general_word(word: bytes) -> bytes:
    return _CHANGING.sub(_replacement, word)  # most words of a text have been in others


def _replacement(match: re.Match[bytes]) -> bytes:
    return b"[]" if match[0].startswith(b"[") else b"*"
