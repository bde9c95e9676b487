"""Text files that people write, read so that nothing in them is lost without a word; every room reads its own through here."""

from edge.files.toml_text import parse_toml, toml_value
from edge.files.yaml_text import parse_yaml

__all__ = ["parse_toml", "parse_yaml", "toml_value"]
