"""The metrics page as Prometheus reads it: over HTTP, in both of its formats."""

import socket
import urllib.request
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text
from support.scripted_run import field_record, run_start
from support.telemetry_bench import CALM, Bench

from edge.contracts.errors import StreamError
from edge.contracts.records import FieldRecord, FieldStatus, StageTimes
from edge.telemetry.metrics import BOUNDS_S, STAGES
from edge.telemetry.telemetry import Telemetry

pytestmark = pytest.mark.timeout(30)
HERE = "127.0.0.1:0"
ODD = 'a "cell" of\\class {7},\nnaïve ✓'
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(telemetry: Telemetry, *, accept: str = "text/plain") -> Samples:
    assert telemetry.page is not None
    request = urllib.request.Request(telemetry.page.url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text, kind = answer.read().decode(), answer.headers["Content-Type"]
    assert kind.startswith(accept)
    families = (plain_text if accept == "text/plain" else open_metrics)(text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples
    }


def of(samples: Samples, name: str, label: str) -> dict[str, float]:
    """Value by the one label of a series."""
    return {labels[0][1]: value for (found, labels), value in samples.items() if found == name and labels[0][0] == label}


def record(seq: int, status: FieldStatus, counts: dict[str, int], ms: float | None) -> FieldRecord:
    times = None if ms is None else StageTimes.model_validate(dict.fromkeys(StageTimes.model_fields, ms))
    return field_record("r", seq, status).model_copy(update={"counts": counts, "times": times})


RECORDS = [
    record(1, FieldStatus.OK, {"lymphocyte": 3, "smudge": 1}, 0.05),
    record(2, FieldStatus.OK, {"lymphocyte": 1}, 0.1),
    record(3, FieldStatus.EMPTY, {}, 14.0),
    record(4, FieldStatus.LOST, {}, None),
    record(5, FieldStatus.OK, {ODD: 2}, 20_000.0),
    record(6, FieldStatus.SKIPPED, {}, None),
]


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
def test_the_sums_are_those_of_the_records(bench: Bench, accept: str) -> None:
    telemetry = bench.start(None, metrics=HERE)
    telemetry.record(run_start("r"))
    for one in RECORDS:
        telemetry.record(one)
    samples = scraped(telemetry, accept=accept)
    assert nonzero(of(samples, "leukostream_fields_total", "status")) == Counter(one.status.value for one in RECORDS)
    assert nonzero(of(samples, "leukostream_cells_total", "label")) == {"lymphocyte": 4, "smudge": 1, ODD: 2}
    for stage in STAGES[:-1]:
        assert samples[("leukostream_stage_seconds_count", (("stage", stage),))] == 4
        assert samples[("leukostream_stage_seconds_sum", (("stage", stage),))] == pytest.approx(20.01415)
    assert samples[("leukostream_field_seconds_count", ())] == 4
    below = {labels[0][1]: n for (name, labels), n in samples.items() if name == "leukostream_field_seconds_bucket"}
    assert [below[at] for at in ("0.0001", "0.01", "0.02", "10.0", "+Inf")] == [2, 2, 3, 3, 4], "bounds are inclusive"
    assert len(below) == len(BOUNDS_S) + 1


def nonzero(values: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in values.items() if value}


def test_series_begin_at_zero_so_that_their_rates_have_a_beginning(bench: Bench) -> None:
    samples = scraped(bench.start(None, metrics=HERE))
    assert of(samples, "leukostream_fields_total", "status") == dict.fromkeys((status.value for status in FieldStatus), 0)
    assert set(of(samples, "leukostream_cells_total", "label").values()) == {0}
    assert of(samples, "leukostream_rejected_messages_total", "code") == {"busy": 0, "malformed": 0}
    assert samples[("leukostream_journal_lag_records", ())] == 0, "before any run"


def test_cells_of_a_field_that_is_not_counted_are_in_no_sum(bench: Bench) -> None:
    telemetry = bench.start(None, metrics=HERE)
    telemetry.record(RECORDS[0].model_copy(update={"counted": False}))
    samples = scraped(telemetry)
    assert nonzero(of(samples, "leukostream_cells_total", "label")) == {}
    assert nonzero(of(samples, "leukostream_fields_total", "status")) == {"ok": 1}


def test_state_is_looked_up_at_each_scrape(bench: Bench) -> None:
    telemetry = bench.start("tcp://127.0.0.1:*", metrics=HERE)
    scraped(telemetry)
    bench.snapshot = replace(
        CALM, phase="stopping", lag=7, queue_fields=3, open_triggers=5, sessions=2, refused=6, rejects={"busy": 1, "rate": 8}
    )
    samples = scraped(telemetry)
    for name, value in (("journal_lag_records", 7), ("queue_fields", 3), ("open_triggers", 5), ("sessions", 2)):
        assert samples[(f"leukostream_{name}", ())] == value
    assert nonzero(of(samples, "leukostream_run_phase", "phase")) == {"stopping": 1}
    assert of(samples, "leukostream_refused_clients_total", "socket") == {"stream": 6, "telemetry": 0}
    assert of(samples, "leukostream_rejected_messages_total", "code") == {"busy": 1, "rate": 8}
    assert samples[("leukostream_telemetry_sent_total", ())] >= 1
    ((_, labels),) = [key for key in samples if key[0] == "leukostream_engine_info"]
    about = dict(labels)
    assert (about["device"], about["precision"], about["parity"]) == ('Intel "Xeon" \\ 2.5 GHz', "bf16", "not_needed")


def test_who_connects_and_says_nothing_keeps_nobody_from_the_page(bench: Bench) -> None:
    telemetry = bench.start(None, metrics=HERE)
    assert telemetry.page is not None
    host, port = telemetry.page.address.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as silent:
        scraped(telemetry)
        telemetry.close()
        telemetry.close()
        silent.settimeout(0.1)
    with pytest.raises(OSError):
        socket.create_connection((host, int(port)), timeout=5)


def test_with_both_off_a_record_costs_nothing_and_nothing_runs(bench: Bench) -> None:
    telemetry = bench.start(None)
    telemetry.record(RECORDS[0])
    assert (telemetry.publisher, telemetry.page) == (None, None)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        pytest.param("0.0.0.0:9570", "put a proxy with authentication in front of it", id="every interface"),
        pytest.param("192.0.2.7:9570", "can be reached from other machines", id="an address of the network"),
        pytest.param("[::]:9570", "can be reached from other machines", id="every interface, IPv6"),
        pytest.param("127.0.0.1", "write HOST:PORT", id="no port"),
        pytest.param("127.0.0.1:99999", "with a port up to 65535", id="no such port"),
        pytest.param("http://127.0.0.1:9570/metrics", "write HOST:PORT", id="an URL"),
        pytest.param("tcp://127.0.0.1:9570", "write HOST:PORT", id="a ZeroMQ address"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence(bench: Bench, address: str, says: str) -> None:
    with pytest.raises(StreamError, match=says):
        bench.start(None, metrics=address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_by_any_name(bench: Bench, host: str) -> None:
    if host == "[::1]" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    scraped(bench.start(None, metrics=f"{host}:0"))


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_port_in_use_is_one_sentence_and_takes_the_other_socket_back(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(
            StreamError, match=rf"the metrics cannot be served at {address} \(.*choose another one with --metrics"
        ):
            bench.start("tcp://127.0.0.1:*", metrics=address)
    assert _ports(bench.started) == []


def _ports(started: Iterable[Telemetry]) -> list[str]:
    """Sockets that are still published on."""
    return [one.publisher.endpoint for one in started if one.publisher and one.publisher._thread.is_alive()]
