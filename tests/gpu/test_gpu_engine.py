"""The real engine on a real GPU, held to the checks that the emulated one passes in `make test`."""

import json

import pytest
from support.engine_checks import Rig, addresses, first_after_idle_ms, memory_growth, parity_per_batch, random_batches

from leukostream.edge.engine.pipelined import KEEP_WARM_S, batch_ladder

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]
RANDOM_BATCHES = 2_000
MEMORY_BATCHES = 10_000
PAUSE_S = 10.0


def test_it_counts_the_reference_graphs_cells_at_every_batch_size(rig: Rig) -> None:
    failures = {n: result.failures for n, result in parity_per_batch(rig).items() if not result.passed}
    assert failures == {}


def test_every_prepared_batch_is_a_captured_graph(rig: Rig) -> None:
    info = rig.engine.info
    assert rig.engine.graphs == info.slots * len(batch_ladder(info.max_batch))


def test_no_box_is_lost_or_made_up_and_no_slot_moves(rig: Rig) -> None:
    before = addresses(rig)
    tally = random_batches(rig, RANDOM_BATCHES)
    assert (tally.batches, tally.lost, tally.phantom) == (RANDOM_BATCHES, 0, 0)
    assert tally.cells > 0
    assert addresses(rig) == before


def test_no_device_memory_is_lost(rig: Rig) -> None:
    assert memory_growth(rig, MEMORY_BATCHES) <= 0


def test_the_first_batch_after_a_pause_is_told(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures, no limit: what a pause costs depends on the GPU and its settings."""
    cold_ms = first_after_idle_ms(rig, PAUSE_S, keep_warm=False)
    warm_ms = first_after_idle_ms(rig, PAUSE_S, keep_warm=True)
    busy_ms = min(first_after_idle_ms(rig, 0.0, keep_warm=False) for _ in range(20))
    figures = {"pause_s": PAUSE_S, "cold_ms": cold_ms, f"kept_warm_every_{KEEP_WARM_S:g}_s_ms": warm_ms, "busy_ms": busy_ms}
    with capsys.disabled():
        print(f"\nfirst batch of one after a pause, {rig.engine.info}: {json.dumps(figures)}")
    assert min(cold_ms, warm_ms, busy_ms) > 0
