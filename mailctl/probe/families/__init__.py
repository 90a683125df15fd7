"""Checks that are more than one dialogue: times, certificates, messages that arrive, services that stop."""
