"""Archives scored: many slides, each for itself, into Parquet; one function on one machine, in a batch system and on Ray."""
