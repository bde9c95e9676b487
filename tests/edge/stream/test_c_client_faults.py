"""The C client against an edge that does wrong, is slow, or is newer than it: what it must refuse, and what it must bear."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.c_client import BAD_ARGUMENT, DONE, EDGE_DEFECT, NO_CONNECTION, Consumer, finished, killed_at_the_end
from support.fake_edge import FakeEdge
from support.scripted_run import field_record, run_start, run_stop

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def consumer(c_client: Path, tmp_path: Path) -> Consumer:
    return Consumer(c_client, tmp_path)


def records(run_id: str, n_fields: int) -> list[bytes]:
    """A whole run."""
    fields = [field_record(run_id, seq) for seq in range(1, n_fields + 1)]
    return [each.model_dump_json().encode() for each in (run_start(run_id), *fields, run_stop(run_id, n_fields + 1))]


def changed(record: bytes, **keys: object) -> bytes:
    return json.dumps(json.loads(record) | keys).encode()


def without(record: bytes, key: str) -> bytes:
    return json.dumps({name: value for name, value in json.loads(record).items() if name != key}).encode()


def reject(code: str) -> bytes:
    return json.dumps({"type": "REJECT", "code": code, "reason": "because\nof it.", "proto_supported": 1}).encode()


Wrong = Callable[[list[bytes]], tuple[bytes, ...]]


@pytest.mark.parametrize(
    ("wrong", "code", "says"),
    [
        pytest.param(lambda r: (r[2],), EDGE_DEFECT, "has a gap: seq 1 was due and 2 came", id="a gap"),
        pytest.param(lambda r: (r[1][:-1],), EDGE_DEFECT, "is no JSON object with a `type`", id="cut off"),
        pytest.param(lambda r: (r[1] + b"}",), EDGE_DEFECT, "is no JSON object with a `type`", id="something behind it"),
        pytest.param(lambda r: (b"",), EDGE_DEFECT, "a message of 0 bytes came", id="nothing"),
        pytest.param(lambda r: (b"[" * 5000,), EDGE_DEFECT, "a message of 5000 bytes came", id="nested without end"),
        pytest.param(lambda r: (r[1].replace(b"t0", b"t\0"),), EDGE_DEFECT, "is no JSON object", id="a NUL in it"),
        pytest.param(lambda r: (b"\x82\xa4type\xa5field",), EDGE_DEFECT, "is no JSON object", id="MessagePack unasked"),
        pytest.param(lambda r: (b'{"type":5}',), EDGE_DEFECT, "is no JSON object with a `type`", id="a type that is no text"),
        pytest.param(lambda r: (r[1], r[2]), EDGE_DEFECT, "a message of several parts came", id="two parts"),
        pytest.param(lambda r: (changed(r[1], seq="1"),), EDGE_DEFECT, "`seq` is no integer from 0", id="a seq in a string"),
        pytest.param(lambda r: (changed(r[1], seq=1.5),), EDGE_DEFECT, "`seq` is no integer", id="half a seq"),
        pytest.param(lambda r: (changed(r[1], seq=2**53),), EDGE_DEFECT, "`seq` is no integer", id="a seq that doubles round"),
        pytest.param(lambda r: (changed(r[1], seq=-1),), EDGE_DEFECT, "`seq` is no integer", id="a seq below 0"),
        pytest.param(lambda r: (changed(r[1], field_index=1e300),), EDGE_DEFECT, "`field_index` is no", id="beyond 64 bits"),
        pytest.param(lambda r: (without(r[1], "run_id"),), EDGE_DEFECT, "`run_id` is missing", id="no run_id"),
        pytest.param(lambda r: (without(r[1], "running"),), EDGE_DEFECT, "`running` is no object", id="no sums"),
        pytest.param(lambda r: (changed(r[1], counts={"x": -1}),), EDGE_DEFECT, "`x` is no integer from 0", id="-1 cells"),
        pytest.param(lambda r: (changed(r[1], status="nice"),), EDGE_DEFECT, "`status` is not one of", id="a new status"),
        pytest.param(lambda r: (changed(r[1], t_host_ns=7),), EDGE_DEFECT, "`t_host_ns` is no 64-bit", id="a time as a number"),
        pytest.param(
            lambda r: (changed(r[1], t_host_ns=str(2**63)),), EDGE_DEFECT, "`t_host_ns` is no", id="a time above 2^63"
        ),
        pytest.param(lambda r: (changed(r[1], t_host_ns="1e3"),), EDGE_DEFECT, "`t_host_ns` is no", id="a time with a letter"),
        pytest.param(lambda r: (changed(r[1], t_host_ns="+1"),), EDGE_DEFECT, "`t_host_ns` is no", id="a time with a plus"),
        pytest.param(lambda r: (changed(r[1], frame_id=""),), EDGE_DEFECT, "`frame_id` is no 64-bit", id="an empty counter"),
        pytest.param(lambda r: (changed(r[1], stage={"x_nm": "1"}),), EDGE_DEFECT, "`y_nm` is no 64-bit", id="half a position"),
        pytest.param(lambda r: (b'{"type":"PING"}',), EDGE_DEFECT, "a PING came without a nonce", id="a PING without a nonce"),
        pytest.param(lambda r: (reject("busy"),), NO_CONNECTION, r"refused \(busy\): because of it\.", id="taken over"),
        pytest.param(lambda r: (reject("later"),), NO_CONNECTION, r"refused \(later\)", id="refused by a code not known here"),
    ],
)
def test_what_an_edge_may_not_send_is_one_sentence_and_costs_no_record(
    consumer: Consumer, wrong: Wrong, code: int, says: str
) -> None:
    with FakeEdge() as edge, killed_at_the_end(consumer.start(edge.endpoint)) as process:
        sent = records(edge.start(), 2)
        edge.send(sent[0])
        edge.expect("ACK")
        edge.send(*wrong(sent))
        done = finished(process)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert re.search(says, done.stderr)
    assert consumer.lines() == sent[:1]


def test_what_it_must_bear_changes_nothing(consumer: Consumer) -> None:
    with FakeEdge() as edge, killed_at_the_end(consumer.start(edge.endpoint)) as process:
        run_id = edge.start()
        sent = records(run_id, 3)
        sent[1] = changed(sent[1], later_key={"seq": 5}, stage=None)
        sent[2] = changed(sent[2], type="later_record")
        edge.say(type="LATER_MESSAGE", run_id=run_id)
        edge.say(type="ACCEPTED", cmd_id="nobody's", trigger_until=None)
        edge.send(records("another run", 0)[0])
        for each in (sent[0], sent[1], sent[0], sent[1], sent[2] + b" \r\n", sent[2], sent[3]):
            edge.send(each)
        edge.say(type="PING", nonce=str(-(2**63)), t_ns="0")
        assert edge.expect("PONG")["nonce"] == str(-(2**63))
        while edge.acknowledged != 3:  # it may have come before the PONG
            edge.expect("ACK")
        edge.send(reject("rate"))
        edge.expect("ACK")  # once more, because `rate` may have been about it
        edge.send(sent[4])
        assert finished(process).returncode == DONE
    assert [line.rstrip() for line in consumer.lines()] == sent


def test_a_record_is_on_the_disk_before_it_is_acknowledged(
    consumer: Consumer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from inside the consumer: the calls in their order, whatever the scheduler makes of them."""
    library, calls = tmp_path / "call_order.so", tmp_path / "calls"
    source = Path(__file__).parents[2] / "helpers" / "support" / "call_order.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True, timeout=30)
    for name, value in (("LD_PRELOAD", library), ("CALL_ORDER", calls), ("ASAN_OPTIONS", "verify_asan_link_order=0")):
        monkeypatch.setenv(name, str(value))
    with FakeEdge() as edge, killed_at_the_end(consumer.start(edge.endpoint)) as process:
        sent = records(edge.start(), 300)
        held, credit, at = -1, 64, 0
        while held < 301:
            for each in sent[at:credit]:
                edge.send(each)
            at = credit
            ack = edge.expect("ACK")
            held, credit = ack["upto_seq"], ack["send_until_seq"]
            assert credit == held + 65
        assert finished(process).returncode == DONE
    synced, acknowledged = 0, -1
    for line in calls.read_text().splitlines():
        call, value = line.split(" ", 1)
        if call == "fsync":
            synced = max(synced, int(value))  # the state file's is smaller than any record
        elif json.loads(value)["type"] == "ACK":
            acknowledged = json.loads(value)["upto_seq"]
            assert synced >= sum(len(each) + 1 for each in sent[: acknowledged + 1])
    assert acknowledged == 301


@pytest.mark.parametrize("silent", [pytest.param(True, id="silence"), pytest.param(False, id="REJECT state")])
def test_a_lost_session_is_opened_again_where_the_file_ends(consumer: Consumer, silent: bool) -> None:
    options = ("--dead-after-ms", "300", "--retry-ms", "100")
    with FakeEdge() as edge, killed_at_the_end(consumer.start(edge.endpoint, *options)) as process:
        run_id = edge.start()
        sent = records(run_id, 3)
        for each in sent[:2]:
            edge.send(each)
        consumer.wait_for_lines(2)
        if not silent:
            edge.send(reject("state"))
        resumed = edge.welcome(heartbeats=not silent)
        assert resumed["resume"] == {"run_id": run_id, "next_seq": 2}
        ack = edge.expect("ACK")
        assert (ack["upto_seq"], ack["send_until_seq"]) == (1, 66)
        for each in sent[1:]:
            edge.send(each)
        assert finished(process).returncode == DONE
    assert consumer.lines() == sent


def test_a_command_that_nobody_answered_is_repeated_as_it_was_also_after_a_kill(consumer: Consumer) -> None:
    with FakeEdge() as edge:
        with killed_at_the_end(consumer.start(edge.endpoint, "--retry-ms", "50", "--slide", "S-1")):
            assert edge.welcome()["resume"] is None
            command = edge.expect("RUN_START")
            assert edge.expect("RUN_START") == command
        with killed_at_the_end(consumer.start(edge.endpoint)) as process:
            hello = edge.expect("HELLO")
            assert hello["resume"] == {"run_id": command["run_id"], "next_seq": 0}
            edge.send(reject("unknown_run"))
            assert edge.welcome()["resume"] is None
            assert edge.accept("RUN_START") == command
            for each in records(command["run_id"], 0):
                edge.send(each)
            assert finished(process).returncode == DONE


def test_a_refused_start_is_tried_again_by_a_new_command(consumer: Consumer) -> None:
    with FakeEdge() as edge:
        with killed_at_the_end(consumer.start(edge.endpoint)) as process:
            edge.welcome()
            refused = edge.expect("RUN_START")
            edge.say(type="REJECTED", cmd_id=refused["cmd_id"], code="busy", reason="another run is in progress.")
            done = finished(process)
        assert (done.returncode, done.stderr.count("\n")) == (NO_CONNECTION, 1)
        assert "refused RUN_START (busy): another run is in progress." in done.stderr
        with killed_at_the_end(consumer.start(edge.endpoint)):
            edge.expect("HELLO")
            edge.send(reject("unknown_run"))
            edge.welcome()
            again = edge.expect("RUN_START")
    assert again["cmd_id"] != refused["cmd_id"]
    assert {**again, "cmd_id": ""} == {**refused, "cmd_id": ""}


def test_triggers_go_under_credit_and_no_pulse_is_given_twice(consumer: Consumer) -> None:
    def expect_trigger(edge: FakeEdge, number: int) -> str:
        trigger = edge.expect("TRIGGER")
        assert (trigger["trigger_id"], trigger["field_index"]) == (f"t-{number}", number)
        return str(trigger["cmd_id"])

    with FakeEdge() as edge:
        with killed_at_the_end(consumer.start(edge.endpoint, "--trigger", "4")) as process:
            run_id = edge.start(trigger_until=2)
            sent = records(run_id, 4)
            edge.send(sent[0])
            first = expect_trigger(edge, 0)
            edge.say(type="ACCEPTED", cmd_id=first, trigger_until=2)
            unanswered = expect_trigger(edge, 1)  # killed before it gets an answer
        assert process.returncode != DONE
        with killed_at_the_end(consumer.start(edge.endpoint, "--trigger", "4")) as process:
            resumed = edge.welcome({"run_id": run_id, "next_seq": 1, "finished": False, "trigger_until": 2})
            assert resumed["resume"]["run_id"] == run_id
            assert expect_trigger(edge, 1) == unanswered
            edge.say(type="ACCEPTED", cmd_id=unanswered, trigger_until=2)
            edge.send(sent[1])
            with pytest.raises(AssertionError, match="no TRIGGER came"):
                edge.expect("TRIGGER", timeout_s=0.3)
            edge.say(type="CREDIT", run_id=run_id, trigger_until=4)
            edge.say(type="CREDIT", run_id=run_id, trigger_until=3)  # never shrinks
            for number in (2, 3):
                edge.say(type="ACCEPTED", cmd_id=expect_trigger(edge, number), trigger_until=3)
            for each in sent[2:5]:
                edge.send(each)
            edge.accept("RUN_STOP", 4)
            edge.send(sent[5])
            done = finished(process)
    assert (done.returncode, done.stderr) == (DONE, "")
    assert [line for line in done.stdout.splitlines() if "pulse" in line] == [f"t-{n} accepted: pulse now" for n in (1, 2, 3)]
    assert consumer.lines() == sent


@pytest.mark.parametrize(
    ("until", "refusal", "code", "says"),
    [
        pytest.param(None, None, BAD_ARGUMENT, "this edge's source paces itself; leave out --trigger", id="no triggers here"),
        pytest.param(9, "state", DONE, "", id="the run is ending by itself"),
        pytest.param(9, "credit", NO_CONNECTION, r"refused TRIGGER \(credit\): no\.", id="another refusal"),
    ],
)
def test_a_refused_trigger_gets_no_pulse(
    consumer: Consumer, until: int | None, refusal: str | None, code: int, says: str
) -> None:
    with FakeEdge() as edge, killed_at_the_end(consumer.start(edge.endpoint, "--trigger", "2")) as process:
        sent = records(edge.start(until), 0)
        if refusal is not None:
            edge.say(type="REJECTED", cmd_id=edge.expect("TRIGGER")["cmd_id"], code=refusal, reason="no.")
        for each in sent:
            edge.send(each)
        done = finished(process)
    assert (done.returncode, "pulse" in done.stdout, bool(done.stderr)) == (code, False, bool(says))
    assert re.search(says, done.stderr)


def test_a_run_that_ended_without_it_is_read_and_not_commanded(consumer: Consumer) -> None:
    with FakeEdge() as edge:
        with killed_at_the_end(consumer.start(edge.endpoint, "--trigger", "2")):
            run_id = edge.start(trigger_until=0)
        with killed_at_the_end(consumer.start(edge.endpoint, "--trigger", "2")) as process:
            edge.welcome({"run_id": run_id, "next_seq": 2, "finished": True, "trigger_until": None})
            edge.expect("ACK")
            for each in records(run_id, 0):
                edge.send(each)
            done = finished(process)
    assert (done.returncode, done.stderr) == (DONE, "")
