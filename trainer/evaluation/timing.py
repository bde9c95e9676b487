"""Time per image of an evaluation: an image at a time, as a scanner that waits for each field would see it."""

from collections.abc import Sequence

import numpy as np

from trainer.evaluation.detect import WARM_UP_IMAGES, ImageResult
from trainer.evaluation.summary import Spread, Times


def times_of(results: Sequence[ImageResult]) -> Times:
    """Median and percentiles over all images that were not warm-up."""
    outside = f"without the first {WARM_UP_IMAGES} images of each engine"
    engine = [result.engine_ms for result in results if result.engine_ms is not None]
    whole = [result.whole_ms for result in results if result.whole_ms is not None]
    return Times(
        engine=spread_of(engine, f"the engine alone, batch 1, from its filled slot to its boxes; {outside}"),
        whole=spread_of(whole, f"fit, engine and post-processing, from the decoded image to its cells; {outside}"),
        on=tuple(sorted({result.engine for result in results})),
    )


def spread_of(times_ms: Sequence[float], timed: str) -> Spread:
    """Percentiles by linear interpolation (numpy's default); null without a time."""
    if not times_ms:
        return Spread(median=None, p95=None, p99=None, n=0, timed=timed)
    median, p95, p99 = (float(value) for value in np.percentile(times_ms, (50, 95, 99)))
    return Spread(median=median, p95=p95, p99=p99, n=len(times_ms), timed=timed)
