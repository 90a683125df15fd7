"""Repeatable benchmarks: each prints a figure beside its budget or its peer, measured in the same run."""
