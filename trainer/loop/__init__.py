"""The training loop: batches in, checkpoints out."""
