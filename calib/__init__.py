"""Ties pixels to micrometres and scores to trust."""
