"""Every verb with its line in `mailctl --help`; here, so that listing them imports none of them."""

from __future__ import annotations

SECTIONS: dict[str, dict[str, str]] = {
    "Write the spec": {
        "init": "Write a first spec from a few answers.",
        "validate": "Check the spec and name every problem at once.",
        "explain": "What a key means, its type, default and what it renders to.",
        "schema": "The JSON Schema of the spec, for editors.",
        "hash": "Make a password hash for a mailbox.",
    },
    "Change the server": {
        "render": "Write the configuration files into a folder.",
        "plan": "Show what apply would change.",
        "apply": "Make the server what the spec says; undone on failure.",
        "confirm": "Keep what was applied with --confirm-within.",
        "recover": "End an apply that was interrupted.",
        "rollback": "Put an earlier generation back.",
        "history": "List the generations that were applied.",
        "status": "What serves now, and whether it is well.",
        "doctor": "The whole server on one screen, and what mends what is wrong.",
    },
    "Try it": {
        "route": "What happens to the mail for one address.",
        "dkim": "Signing keys: make, publish, rotate; verify the signatures of a message.",
        "dns": "What the world must see in the DNS: records to publish, and whether they are.",
        "tls": "Check the certificates the spec names.",
        "probe": "Prove over the network that the server is safe.",
        "lab": "A private server in its own namespaces: up, send, read, log, status, publish, down.",
    },
    "Read the log": {
        "log-report": "What the mail log tells: totals, problems and what to do, top lists; for people and monitoring.",
        "log": "The life of one message (trace), and what a reply means (explain).",
    },
    "Shell": {
        "completion": "Print the completion script for bash, zsh or fish.",
    },
}

VERBS: dict[str, str] = {verb: line for verbs in SECTIONS.values() for verb, line in verbs.items()}
