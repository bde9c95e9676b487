"""One run: frames in, records out, every trigger accounted for."""
