"""Pretrained weights: what other frameworks store, read into our detectors and, for Darknet, written back."""
