"""From trained weights to a bundle: the self-describing graph, its weights stored as FP16, and its card."""
