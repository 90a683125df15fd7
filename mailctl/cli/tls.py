"""mailctl tls: the certificates of the spec."""
