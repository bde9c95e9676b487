"""A run in this process, without a controller: a folder counted for a person, and a run counted once more to prove it."""
