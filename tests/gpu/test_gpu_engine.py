"""The real engine on a real GPU, held to the checks that the emulated one passes in `make test`."""

from typing import Any

import pytest
from support.engine_checks import Rig, addresses, first_after_idle_ms, memory_growth, parity_per_batch, random_batches

from edge.engine.pipelined import batch_ladder

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]
RANDOM_BATCHES = 2_000
MEMORY_BATCHES = 10_000
PAUSE_S = 10.0


def test_it_counts_the_reference_graphs_cells_at_every_batch_size(rig: Rig, found: dict[str, Any]) -> None:
    results = parity_per_batch(rig)
    found["reference cells"] = sum(len(cells) for cells in rig.reference)
    found["cells missed, added or under another label, worst batch size"] = max(
        result.missed + result.added + result.label_flips for result in results.values()
    )
    found["99th percentile of score differences, worst batch size"] = max(
        each.p99_score_difference for each in results.values()
    )
    assert {n: result.failures for n, result in results.items() if not result.passed} == {}


def test_every_prepared_batch_is_a_captured_graph(rig: Rig, found: dict[str, Any]) -> None:
    info = rig.engine.info
    found["captured graphs"] = f"{rig.engine.graphs} of {info.slots * len(batch_ladder(info.max_batch))}"
    assert rig.engine.graphs == info.slots * len(batch_ladder(info.max_batch))


def test_no_box_is_lost_or_made_up_and_no_slot_moves(rig: Rig, found: dict[str, Any]) -> None:
    before = addresses(rig)
    tally = random_batches(rig, RANDOM_BATCHES)
    found["random batches"] = f"{tally.batches} with {tally.cells} cells: {tally.lost} lost, {tally.phantom} made up"
    assert (tally.batches, tally.lost, tally.phantom) == (RANDOM_BATCHES, 0, 0)
    assert tally.cells > 0
    assert addresses(rig) == before


def test_no_device_memory_is_lost(rig: Rig, found: dict[str, Any]) -> None:
    """Other programs on the GPU may take memory meanwhile: run this without any."""
    growth = memory_growth(rig, MEMORY_BATCHES)
    found[f"device memory gone after {MEMORY_BATCHES} batches, bytes"] = growth
    assert growth <= 0


def test_what_a_pause_costs_is_found(rig: Rig, found: dict[str, Any]) -> None:
    """A figure, without a limit: it depends on the GPU and its settings."""
    for warm in (False, True):
        kept = "kept warm" if warm else "not kept warm"
        found[f"first batch of one after {PAUSE_S:g} s, {kept}, ms"] = first_after_idle_ms(rig, PAUSE_S, keep_warm=warm)
    found["batch of one without a pause, best of 20, ms"] = min(
        first_after_idle_ms(rig, 0.0, keep_warm=False) for _ in range(20)
    )
