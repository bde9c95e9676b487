"""The heat map of a latency sweep: what each batch and deadline can bear."""

from pathlib import Path

import numpy as np
from matplotlib.patches import Rectangle

from calib.latency_choice import Choice
from calib.plots import axes_for
from edge.contracts.latency import EngineIdentity, LatencyBudget


def write_latency_map(path: Path, choice: Choice, budget: LatencyBudget, engine: EngineIdentity) -> None:
    """Batches down, deadlines across; coloured by the fastest triggers within the budget, with the p99 there; the chosen one is
    framed. Raises `ConfigError`."""
    batches = sorted({each.max_batch for each in choice.all})
    deadlines = sorted({each.deadline_ms for each in choice.all})
    rates = np.full((len(batches), len(deadlines)), np.nan)
    title = f"Fields per second within p99 {budget.p99_ms:g} ms and {budget.overshoot_fields:g} fields of overshoot\n{engine}"
    with axes_for(path, title) as axes:
        axes.title.set_fontsize(9)
        for each in choice.all:
            row, column = batches.index(each.max_batch), deadlines.index(each.deadline_ms)
            best = each.best
            said = "over budget" if best is None else f"{best.rate_per_s:g}/s\np99 {best.p99_ms:.0f} ms"
            rates[row, column] = np.nan if best is None or best.rate_per_s is None else best.rate_per_s
            axes.text(column, row, f"{said}\n({each.fields_per_s:.0f}/s at full speed)", ha="center", va="center", fontsize=8)
            if each == choice.chosen:
                axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="tab:red", linewidth=3))
        axes.imshow(rates, cmap="Greens", aspect="auto", vmin=0, vmax=2 * np.nanmax(rates))
        axes.set_xticks(range(len(deadlines)), [f"{each:g}" for each in deadlines])
        axes.set_yticks(range(len(batches)), [str(each) for each in batches])
        axes.set_xlabel("deadline in ms")
        axes.set_ylabel("batch")
