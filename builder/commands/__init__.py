"""The commands of `leuko-build`, one per file."""
