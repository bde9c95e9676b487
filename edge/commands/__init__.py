"""The commands of `leuko-edge`, one file each."""
