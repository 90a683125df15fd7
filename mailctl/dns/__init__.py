"""DNS: what the spec wants published (`records`), what is published (`check`), and all queries (`resolve`)."""
