"""The version of leukostream that is installed, as its metadata say; it is in every bundle, engine and run."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("leukostream")
except PackageNotFoundError:  # a bare copy of the sources, which the provenance must not call by any release's name
    VERSION = "0+not-installed"

BUILT = "2026-01-01"
"""A day before this release was made: a clock that shows an earlier one is wrong."""
