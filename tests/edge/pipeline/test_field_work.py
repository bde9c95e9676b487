"""When a batch is closed; no clock of this machine takes part."""

import pytest

from edge.pipeline.field_work import Batching

MS = 1_000_000


@pytest.mark.parametrize(
    ("n_fields", "waited_ms", "idle", "due"),
    [
        pytest.param(0, 0, True, False, id="nothing to run"),
        pytest.param(0, 99, False, False, id="an empty batch has no deadline"),
        pytest.param(1, 0, True, True, id="an idle engine runs at once"),
        pytest.param(4, 0, False, True, id="a full batch is queued behind the running one"),
        pytest.param(3, 9, False, False, id="a partial one may fill up while the engine is busy"),
        pytest.param(3, 10, False, True, id="until its oldest field has waited long enough"),
        pytest.param(1, 11, False, True, id="a single late field runs, too"),
    ],
)
def test_deadline_batching(n_fields: int, waited_ms: int, idle: bool, due: bool) -> None:
    assert Batching(4, 10 * MS).is_due(n_fields, waited_ms * MS, idle) is due
