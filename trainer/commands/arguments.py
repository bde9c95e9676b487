"""Arguments that several commands take alike."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_RECIPE = "shipped"

DataSets = Annotated[Path, typer.Option("--data", help="data description (YAML): data sets, scales, class maps, splits")]
Described = Annotated[Path, typer.Option("--data", help="data description (YAML)")]
Root = Annotated[Path, typer.Option(envvar="LEUKO_DATA", help="folder the description's paths are in")]
NamedRecipe = Annotated[str, typer.Option(help="a shipped recipe or a YAML file")]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu or cuda")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document instead of a table")]
