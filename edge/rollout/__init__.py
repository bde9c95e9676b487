"""A new bundle beside the one that serves: compared on the same fields, then taken over between two runs, or not."""
