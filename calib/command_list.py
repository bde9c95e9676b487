"""`leuko-calib`: all, pixel-size, scale-check, illumination, colour, focus, stage, thresholds, latency, adapt, boxes, qc,
check, diff"""

import typer

from calib.commands.adapt import adapt
from calib.commands.all_steps import all_steps
from calib.commands.boxes import boxes
from calib.commands.check import check
from calib.commands.colour import colour
from calib.commands.diff import diff
from calib.commands.flat_field import illumination
from calib.commands.focus import focus
from calib.commands.latency import latency
from calib.commands.pixel_size import pixel_size
from calib.commands.qc import qc
from calib.commands.scale_check import scale_check
from calib.commands.stage import stage
from calib.commands.thresholds import thresholds

app = typer.Typer(help="Measures an instrument and writes its profile.", no_args_is_help=True, add_completion=False)
app.command("all")(all_steps)
app.command()(pixel_size)
app.command()(scale_check)
app.command()(illumination)
app.command()(colour)
app.command()(focus)
app.command()(stage)
app.command()(thresholds)
app.command()(latency)
app.command()(adapt)
app.command()(boxes)
app.command()(qc)
app.command()(check)
app.command()(diff)


@app.callback()
def _room() -> None:
    """Measures an instrument and writes its profile."""
