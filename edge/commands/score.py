"""`leuko-edge score`: an archive of slides, each for itself, into tables; in shards, resumed where it was killed."""

from pathlib import Path
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import ENGINE_SETTINGS, ConfigOption, Given, LogLevelOption, takes

_OF_THE_RUN = ("um_per_px", "profile", "objective", "signers", "correct", "thresholds")


@takes(EdgeSettings, *_OF_THE_RUN, *ENGINE_SETTINGS)
def score(
    given: Given,
    slides: Annotated[
        Path,
        typer.Argument(
            help="Folder whose sub-folders are slides (images or recordings), or a table, CSV or Parquet: slide_id, "
            "location, um_per_px, profile."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the tables; one that has some is gone on with.")],
    shard: Annotated[str, typer.Option(help="Score this part only, INDEX/COUNT with the index from 0, such as 3/8.")] = "0/1",
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Score slides again that have failed.")] = False,
    ray: Annotated[
        str | None,
        typer.Option(help="Score on a Ray cluster: local (one on this machine), auto, HOST:PORT or ray://HOST:PORT."),
    ] = None,
    workers: Annotated[
        str | None, typer.Option(help="Of Ray: 4, or 1-16 as there is work; without, as many as there is room for.")
    ] = None,
    cpus: Annotated[
        float | None, typer.Option(min=0.1, help="Of Ray: processors of each worker; else --threads, or 1.")
    ] = None,
    gpus: Annotated[float, typer.Option(min=0, help="Of Ray: GPUs of each worker; two may share one with 0.5.")] = 0,
    config: ConfigOption = None,
    log_level: LogLevelOption = "warning",
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on standard output.")] = False,
) -> None:
    """Score every slide of an archive, and write Parquet tables of cells, fields and slides.

    Each slide is a run of its own, so that each of its cells is counted once. A slide that cannot be scored is a row with a
    sentence. Called again, also after it was killed, it scores what has no result yet. What a table says of a slide (um_per_px,
    profile) goes before the options. Needs pyarrow: pip install 'leukostream[score]'; for --ray: 'leukostream[cluster]'.

    Exit code: 0 every slide of this shard has its result; 4 slides failed, which their rows explain;
    2 a setting or the table, 3 the bundle, 11 a library that is missing: calling again will not help;
    5 the engine, 9 the system, 1 a defect, 130, 143: call again.
    """
    from edge.contracts.errors import ConfigError
    from edge.scoring.score_run import Archive, score_archive
    from edge.scoring.slide_list import shard_of
    from edge.service.process import set_up_logging

    set_up_logging(log_level, None)
    archive = Archive(slides, out, given, config, shard_of(shard), retry_failed)
    if ray is None:
        if workers is not None or cpus is not None or gpus:
            raise ConfigError("--workers, --cpus and --gpus are of Ray; add --ray local or --ray ADDRESS, or leave them out.")
        raise typer.Exit(score_archive(archive, as_json=as_json))
    from edge.scoring.ray_score import RayWorkers, score_on_ray, workers_of

    room = RayWorkers(ray, *workers_of(workers), cpus or given.get("threads") or 1, gpus)
    raise typer.Exit(score_on_ray(archive, room, as_json=as_json))
