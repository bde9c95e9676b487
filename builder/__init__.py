"""A bundle in, checked engines out."""
