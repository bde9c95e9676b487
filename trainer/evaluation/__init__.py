"""How good a bundle is on annotated images: average precision, operating point, counting."""
