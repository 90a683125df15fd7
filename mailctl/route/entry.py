"""Whether smtpd takes a mail: the restriction lists of main.cf walked as it does; SMTPD_ACCESS_README.

Restrictions that depend on what no configuration tells (DNS, a mailbox that is full) become conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailctl.errors import Origin
from mailctl.route.lookup import address_class, domain_of, find_address, is_listed
from mailctl.route.model import NULL_SENDER, AddressClass, Mail, Step, StepKind
from mailctl.route.places import Places
from mailctl.route.server import Server, words

SENDER_STAGE = "sender"
STAGES = ("client", SENDER_STAGE, "relay", "recipient")
LOGIN_STAGES = (SENDER_STAGE, "recipient")
TAKES_ARGUMENT = ("check_policy_service", "check_sender_access", "check_sasl_access")


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A restriction that decides: an empty `reply` permits."""

    reply: str = ""
    says: str = ""
    origin: Origin | None = None


PERMIT = _Verdict()


@dataclass(frozen=True, slots=True)
class Entry:
    """The steps of the way in; `reply` is empty where the mail is taken."""

    steps: tuple[Step, ...]
    reply: str = ""


def enter(server: Server, places: Places, mail: Mail) -> Entry:
    """What smtpd answers to RCPT TO, on port 25 or to a login on 587 and 465."""
    return _Smtpd(server, places, mail).enter()


class _Smtpd:
    def __init__(self, server: Server, places: Places, mail: Mail) -> None:
        self.server = server
        self.places = places
        self.mail = mail
        self.conditions: list[Step] = []

    def enter(self) -> Entry:
        verdict = next((found for found in self._verdicts() if found and found.reply), None)
        if verdict:
            refused = Step(StepKind.REFUSED, self.mail.recipient, f"{verdict.reply}: {verdict.says}", verdict.origin)
            return Entry((refused,), verdict.reply)
        return Entry((Step(StepKind.ENTRY, self.mail.recipient, f"accepted from {self._who()}"), *self.conditions))

    def _verdicts(self) -> Iterator[_Verdict | None]:
        yield self._refused_login()
        prefix, stages = ("mailctl_submission", LOGIN_STAGES) if self.mail.login else ("smtpd", STAGES)
        for stage in stages:
            yield self._walk(words(self.server.parameter(f"{prefix}_{stage}_restrictions")))
            if stage == SENDER_STAGE:
                yield self._unlisted_sender()
        yield self._unlisted_recipient()

    def _who(self) -> str:
        return f"login {self.mail.login} on ports 587 and 465" if self.mail.login else "outside on port 25"

    def _walk(self, restrictions: tuple[str, ...]) -> _Verdict | None:
        items = iter(restrictions)
        for name in items:
            argument = next(items, "") if name in TAKES_ARGUMENT else ""
            if verdict := self._apply(name, argument):
                return verdict
        return None

    def _apply(self, name: str, argument: str) -> _Verdict | None:
        match name:
            case "permit_mynetworks" | "reject_non_fqdn_sender" | "reject_non_fqdn_recipient":
                return None  # nobody outside is in mynetworks, and addresses here are complete
            case "permit_sasl_authenticated":
                return PERMIT if self.mail.login else None
            case "reject":
                return _Verdict("554 5.7.1", "access denied: this server serves trusted networks and logins only")
            case "reject_unauth_destination":
                return self._unauthorised_destination()
            case "reject_unknown_sender_domain":
                self._unknown_sender_domain()
                return None
            case "reject_sender_login_mismatch":
                return self._login_mismatch()
            case "check_policy_service":
                self._policy_service()
                return None
            case "check_sender_access":
                return self._null_sender()
            case "check_sasl_access":
                return PERMIT if self.server.ask(argument, self.mail.login) is not None else None
        self._depends_on(f"the restriction {name} lets it pass, which mailctl does not work out")
        return None

    def _refused_login(self) -> _Verdict | None:
        if self.mail.login and self.mail.login not in self.places.logins:
            return _Verdict("535 5.7.8", f"nobody logs in as {self.mail.login}")
        if self.mail.login and not self.server.parameter("smtpd_sender_login_maps"):
            return _Verdict("535 5.7.8", "nobody logs in at a server of this role")
        return None

    def _unauthorised_destination(self) -> _Verdict | None:
        if address_class(self.server, self.mail.recipient) is AddressClass.DEFAULT:
            domain = domain_of(self.mail.recipient)
            return _Verdict("554 5.7.1", f"relay access denied: {domain} is not hosted here, and nobody has logged in")
        return None

    def _unknown_sender_domain(self) -> None:
        domain = self.mail.sender_domain
        if domain and address_class(self.server, self.mail.sender) is AddressClass.DEFAULT:
            self._depends_on(f"{domain} has an MX or address record in DNS")
        elif not self.mail.sender:
            self._depends_on("the sender's domain is in DNS")

    def _login_mismatch(self) -> _Verdict | None:
        if self.mail.sender == NULL_SENDER:
            return None
        owners = find_address(self.server, "smtpd_sender_login_maps", self.mail.sender)
        if owners and self.mail.login in words(owners.value):
            return None
        whose = f"it belongs to {owners.value}" if owners else "it belongs to nobody here"
        says = f"sender address rejected: not owned by user {self.mail.login}; {whose}"
        return _Verdict("553 5.7.1", f"{self.mail.sender}: {says}", self.places.login(self.mail.login))

    def _policy_service(self) -> None:
        if find_address(self.server, "virtual_mailbox_maps", self.mail.recipient, with_domain=False):
            self._depends_on("the mailbox is not over quota (Dovecot is asked)")

    def _null_sender(self) -> _Verdict | None:
        if self.mail.sender != NULL_SENDER:
            return None
        verdict = self._walk(words(self.server.parameter("mailctl_null_sender")))
        if verdict and verdict.reply:
            says = f"the login {self.mail.login} may not send with the null sender; null_sender: true would allow it"
            return _Verdict(verdict.reply, says, self.places.login(self.mail.login))
        return verdict

    def _unlisted_sender(self) -> _Verdict | None:
        if "@" not in self.mail.sender or is_listed(self.server, self.mail.sender):
            return None
        says = f"sender address rejected: there is no {self.mail.sender} here"
        return _Verdict("550 5.1.0", says, self.places.domain(self.mail.sender_domain))

    def _unlisted_recipient(self) -> _Verdict | None:
        if is_listed(self.server, self.mail.recipient):
            return None
        domain = domain_of(self.mail.recipient)
        says = f"recipient address rejected: there is no {self.mail.recipient} here"
        return _Verdict("550 5.1.1", says, self.places.domain(domain))

    def _depends_on(self, says: str) -> None:
        self.conditions.append(Step(StepKind.CONDITION, self.mail.recipient, f"provided that {says}"))
