"""Real Debian hosts for tests: systemd as init, an address and sshd of their own, no route out.

    lab = Lab()                      a bridge, a DNS server and an outside world; a context manager
    lab.boot("mx1", "app1")          two hosts, `Image.FRESH` where nothing else is said
    lab.zone.mail_domain(...)        MX records, known to every host at once

What a run makes carries the number of its slot, and the slot is a lock of the kernel: runs side by side get
different bridges, addresses and folders, and the next run clears away what a killed one left.
"""
