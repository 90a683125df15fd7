"""What a reply of a mail server means, why it came, and what to do next.

    >>> found = explain("550 5.7.26 Unauthenticated email from example.org is not accepted - gsmtp")
    >>> found.provider, found.cause.name
    ('Gmail', 'authentication')

The knowledge is data: causes.toml (what to do), codes.toml (RFC 5321, RFC 3463 and the IANA registry) and
wordings.toml (what Gmail, Microsoft, Yahoo, Spamhaus and Postfix itself write), each entry with its source.
"""

from __future__ import annotations

from mailctl.maillog.explain.lookup import Cause, Explanation, explain, group_by_cause

__all__ = ["Cause", "Explanation", "explain", "group_by_cause"]
