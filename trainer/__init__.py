"""Annotated images in, a bundle out."""
