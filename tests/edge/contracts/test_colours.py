"""What a profile and a bundle say of colours and light: what is refused, when it has expired, and what older files lack."""

from datetime import datetime, timezone

import pytest
from pydantic import ValidationError

from edge.contracts.colours import Dated, MeasuredLight

FLAT = ((1.0, 0.9), (0.8, 0.7))


def light(**changes: object) -> MeasuredLight:
    values: dict[str, object] = {
        "measured_at": "2026-01-01T00:00:00+00:00",
        "shade": (FLAT, FLAT, FLAT),
        "white": (200, 210, 220),
        "residual": 0.004,
        "fields": 3,
        "width_px": 732,
        "height_px": 574,
        "source": "folder:blank",
        "fields_sha256": "0" * 64,
    }
    return MeasuredLight.model_validate({**values, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"shade": (FLAT, FLAT, ((1.0, 1.0),))}, "of one size", id="a channel with fewer rows"),
        pytest.param({"shade": (FLAT, FLAT, ((1.0,), (1.0, 0.9)))}, "of one size", id="a ragged row"),
        pytest.param({"shade": (((1.0, 1.0),),) * 3}, "2 x 2", id="one row shows no height"),
        pytest.param({"shade": (((1.0, 0.1), (1.0, 1.0)),) * 3}, "between 0.3 and 1", id="a corner without light"),
        pytest.param({"white": (200, 210, 256)}, "white.2", id="brighter than a pixel can be"),
        pytest.param({"measured_at": "yesterday"}, "measured_at", id="no date"),
        pytest.param({"expires_at": "2026-01-31"}, "no time zone", id="a day somewhere"),
    ],
)
def test_what_cannot_be_measured_light_is_refused(changes: dict[str, object], said: str) -> None:
    assert light().shade[0] == FLAT
    with pytest.raises(ValidationError) as refused:
        light(**changes)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("expires_at", "expired"),
    [
        pytest.param(None, False, id="never"),
        pytest.param("2026-06-01T00:00:00+00:00", False, id="not yet"),
        pytest.param("2026-04-30T23:59:59+00:00", True, id="a second ago"),
        pytest.param("2026-05-01T01:00:00+02:00", True, id="an hour ago, in another time zone"),
    ],
)
def test_a_measurement_expires(expires_at: str | None, expired: bool) -> None:
    now = datetime(2026, 5, 1, tzinfo=timezone.utc)
    assert Dated(measured_at="2026-01-01T00:00:00+00:00", expires_at=expires_at).has_expired(now) is expired
