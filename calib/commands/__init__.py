"""The commands of `leuko-calib`, one per file."""
