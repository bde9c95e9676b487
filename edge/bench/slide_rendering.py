"""`python -m edge.bench.slide_rendering`: how long a slide takes to open and a field to render."""

import argparse
import time

import numpy as np

from edge.virtual.settings import SlideSettings
from edge.virtual.slide import VirtualSlide


def measure(fields: int, wbc_per_field_mean: float, seed: int) -> tuple[float, list[float]]:
    """Seconds to open a slide, and milliseconds for each of `fields` fields side by side."""
    start = time.perf_counter()
    slide = VirtualSlide(SlideSettings(seed=seed, wbc_per_field_mean=wbc_per_field_mean))
    slide.render(0.0, 0.0)
    opened_s = time.perf_counter() - start
    times_ms = []
    for index in range(fields):
        start = time.perf_counter()
        slide.render(95.0 * index, 0.0, field_key=index)
        times_ms.append((time.perf_counter() - start) * 1e3)
    return opened_s, times_ms


def main() -> None:
    """Print open time, median and 95th percentile of the render time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=200)
    parser.add_argument("--wbc", type=float, default=1.5, help="leukocytes per field")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    opened_s, times_ms = measure(arguments.fields, arguments.wbc, arguments.seed)
    median, late = np.percentile(times_ms, [50, 95])
    print(f"open and first field {opened_s:.2f} s; {arguments.fields} fields: median {median:.2f} ms, p95 {late:.2f} ms")


if __name__ == "__main__":
    main()
