"""From the graph's candidates to one label per cell."""
