from mailctl.lab.log import lines_of_message

LOG = """\
mx1 postfix/smtpd[1]: 4AAA: client=out.example[192.0.2.77]
mx1 postfix/smtpd[2]: 4BBB: client=out.example[192.0.2.78]
mx1 postfix/cleanup[3]: 4AAA: message-id=<one@out.example>
mx1 dovecot: lmtp(ali): msgid=<one@out.example>: saved mail to INBOX
mx1 postfix/smtp[4]: 4AAA: to=<x@far.example>, status=bounced (host said: 550)
mx1 postfix/bounce[5]: 4AAA: sender non-delivery notification: 4CCC
mx1 postfix/qmgr[6]: 4CCC: from=<>, size=1, nrcpt=1 (queue active)
mx1 postfix/qmgr[6]: 4AAAA: removed
mx1 postfix/qmgr[6]: 4BBB: removed
""".splitlines()


def test_a_message_is_followed_into_the_mailbox_and_its_bounce() -> None:
    assert list(lines_of_message(LOG, "4AAA")) == [LOG[0], *LOG[2:7]]


def test_an_unknown_id_has_no_lines() -> None:
    assert list(lines_of_message(LOG, "4ZZZ")) == []
