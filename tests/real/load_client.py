"""Steady mail with ids of its own, until its stdin ends; prints what became of each message as JSON.

python load_client.py LABEL RECIPIENT...        one sender for each
"""

from __future__ import annotations

import json
import smtplib
import sys
import threading
import time


def send_until(ended: threading.Event, label: str, number: int, recipient: str, seen: dict[str, list[str]]) -> None:
    client: smtplib.SMTP | None = None
    count = 0
    while not ended.is_set():
        count += 1
        message_id = f"{label}-{number}-{count}"
        try:
            if client is None:
                client = smtplib.SMTP("127.0.0.1", 25, timeout=30)
            client.sendmail(
                f"load{number}@partner.example",
                [f"{recipient}@example.org"],
                f"X-Load-Id: {message_id}\r\n\r\nsteady\r\n",
            )
            seen["accepted"].append(message_id)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
            seen["refused"].append(str(error))
            client = None
        except (OSError, smtplib.SMTPException) as error:
            # A 5xx in place of the greeting is as final as one for an address.
            is_final = getattr(error, "smtp_code", 0) >= 500
            seen["refused" if is_final else "lost"].append(f"{message_id} {error}")
            client = None
            time.sleep(0.05)


def main() -> None:
    label, *recipients = sys.argv[1:]
    seen: dict[str, list[str]] = {"accepted": [], "refused": [], "lost": []}
    ended = threading.Event()
    arguments = ((ended, label, number, recipient, seen) for number, recipient in enumerate(recipients))
    threads = [threading.Thread(target=send_until, args=each) for each in arguments]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
