"""The trend of a daily check over days, as a picture."""

from datetime import datetime
from pathlib import Path

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from calib.plots import axes_for
from calib.qc_history import QcDay

_COLOURS = {"pass": "tab:green", "fail": "tab:red", "not decided": "tab:orange"}


def write_trend(path: Path, days: list[QcDay]) -> None:
    """The share found and its limits, day by day, against the minimum; lines where bundle, profile or slide changed.

    Raises `ConfigError` when the picture cannot be written.
    """
    with axes_for(path, f"Known leukocytes found, {days[-1].instrument}") as axes:
        when = [datetime.fromisoformat(day.measured_at) for day in days]
        for verdict, colour in _COLOURS.items():
            chosen = [at for at, day in enumerate(days) if day.verdict == verdict]
            if not chosen:
                continue
            shares = [100 * days[at].share for at in chosen]
            reach = [
                [max(0.0, 100 * (days[at].share - days[at].low)) for at in chosen],
                [max(0.0, 100 * (days[at].high - days[at].share)) for at in chosen],
            ]
            axes.errorbar(
                [when[at] for at in chosen],  # type: ignore[arg-type]  # dates are numbers to matplotlib
                shares,
                yerr=reach,
                fmt="o",
                color=colour,
                capsize=3,
                label=f"{verdict} ({len(chosen)})",
            )
        axes.step(when, [100 * day.minimum for day in days], "--", where="post", color="gray", label="minimum")  # type: ignore[arg-type]
        for what, name in (("bundle_id", "bundle"), ("profile_sha256", "profile"), ("reference_sha256", "slide")):
            for at in range(1, len(days)):
                if getattr(days[at], what) != getattr(days[at - 1], what):
                    axes.axvline(when[at], color="lightblue", linewidth=1)  # type: ignore[arg-type]
                    axes.annotate(f"another {name}", (when[at], 1), xycoords=("data", "axes fraction"), rotation=90, va="top")  # type: ignore[arg-type]
        axes.xaxis.set_major_locator(locator := AutoDateLocator())  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.set_ylabel("found, per cent (95 % limits)")
        axes.set_ylim(top=101)
        axes.legend(loc="lower left")
