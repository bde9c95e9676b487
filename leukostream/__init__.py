"""leukostream: counts leukocytes while the slide scanner is still scanning."""

__version__ = "0.1.0"
