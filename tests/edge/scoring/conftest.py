"""What every test of scored archives takes."""

from support.scoring_archive import archive, score, tables

__all__ = ["archive", "score", "tables"]
