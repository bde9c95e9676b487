"""`leuko-edge`: run, runs, keys, sign, watch, simulate, demo, bench, bench-stream, cameras, record, soak, doctor."""

import typer

from edge.commands.bench import bench
from edge.commands.bench_stream import bench_stream
from edge.commands.cameras import cameras
from edge.commands.demo import demo
from edge.commands.doctor import doctor
from edge.commands.keys import app as keys
from edge.commands.record import record
from edge.commands.run import run
from edge.commands.runs import app as runs
from edge.commands.sign import app as sign
from edge.commands.simulate import simulate
from edge.commands.soak import soak
from edge.commands.watch import watch
from edge.contracts.errors import run_command_line

app = typer.Typer(
    help="Camera fields in, live counts out.\n\n"
    "run serves one run to a controller, runs looks into a journal, keys says who may connect, sign says whose models an "
    "edge loads, watch is the reference controller, simulate plays a scanner that triggers, demo is edge and controller in "
    "one, cameras, record and soak are for cameras alone, bench measures the loop and bench-stream the way to the controller, "
    "doctor says what is installed and which engine a run would open.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.add_typer(runs, name="runs")
app.add_typer(keys, name="keys")
app.add_typer(sign, name="sign")
app.command()(watch)
app.command()(simulate)
app.command()(demo)
app.command()(bench)
app.command("bench-stream")(bench_stream)
app.command()(cameras)
app.command()(record)
app.command()(soak)
app.command()(doctor)


def main() -> None:
    """Entry point."""
    run_command_line(app)


if __name__ == "__main__":
    main()
