"""What RUN_START may order, and in which words an order that cannot be kept is refused."""

import json

import pytest
from pydantic import ValidationError

from edge.contracts.messages import RunStartCommand
from edge.contracts.run_order import OrderSetting, RunOrder, order_fault
from edge.stream.codec import MessageError, decode_to_edge


def sent(order: object) -> RunStartCommand:
    """RUN_START as it comes over the wire."""
    message = {"type": "RUN_START", "cmd_id": "c", "run_id": "r", "order": order}
    command = decode_to_edge(json.dumps(message).encode())
    assert isinstance(command, RunStartCommand)
    return command


@pytest.mark.parametrize(
    "order",
    [
        pytest.param({}, id="nothing: fields are marked, no stop is advised"),
        pytest.param({"target_leukocytes": 200}, id="so many leukocytes"),
        pytest.param({"target_leukocytes": 1, "field_cap": 1, "time_cap_s": 0.5}, id="the least of each"),
        pytest.param({"limit_width_percent": {"lymphocyte": 10, "unidentified": 0.5}}, id="limits of two classes"),
        pytest.param({"quality": "leave_out", "smudges": "lymphocytes"}, id="both policies"),
        pytest.param({"a_later_key": 7}, id="a key of a later version is ignored, as everywhere"),
    ],
)
def test_orders_that_can_be_kept(order: dict[str, object]) -> None:
    command = sent(order)
    assert command.order is not None and order_fault(command.order) is None
    assert command.order.has_rule == bool(set(order) - {"quality", "smudges", "a_later_key"})


@pytest.mark.parametrize(
    ("order", "code", "said"),
    [
        pytest.param({"target_leukocytes": 0}, "invalid", "`order.target_leukocytes` is 0", id="reached before it begins"),
        pytest.param({"field_cap": 0}, "invalid", "`order.field_cap` is 0", id="no field"),
        pytest.param({"time_cap_s": 0}, "invalid", "`order.time_cap_s` is 0", id="no time"),
        pytest.param({"time_cap_s": -3.5}, "invalid", "is -3.5", id="time runs backwards"),
        pytest.param({"time_cap_s": 1e9}, "invalid", "up to 604800", id="thirty years"),
        pytest.param({"limit_width_percent": {"lymphozyte": 5}}, "invalid", "no leukocyte class", id="no class"),
        pytest.param({"limit_width_percent": {"smudge": 5}}, "invalid", "no leukocyte class", id="no leukocyte"),
        pytest.param({"limit_width_percent": {"blast": 0}}, "invalid", "is 0 for blast", id="exactness is not to be had"),
        pytest.param({"limit_width_percent": {"blast": 100}}, "invalid", "below 100", id="reached before it begins, too"),
        pytest.param({"quality": "repair"}, "unsupported", "this edge knows `off`, `mark`", id="a policy from later"),
        pytest.param({"smudges": "thrice"}, "unsupported", "`apart`, `lymphocytes`", id="another policy from later"),
    ],
)
def test_orders_that_cannot(order: dict[str, object], code: str, said: str) -> None:
    command = sent(order)
    assert command.order is not None
    fault = order_fault(command.order)
    assert fault is not None and (fault.code, said in fault.reason) == (code, True)
    assert fault.reason.endswith(".") and "\n" not in fault.reason
    with pytest.raises(ValidationError):
        OrderSetting.model_validate(order)


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([], id="a list"),
        pytest.param({"target_leukocytes": "200"}, id="text"),
        pytest.param({"target_leukocytes": 200.5}, id="half a cell"),
        pytest.param({"target_leukocytes": -1}, id="below nothing"),
        pytest.param({"target_leukocytes": True}, id="a truth"),
        pytest.param({"limit_width_percent": 5}, id="of which class?"),
        pytest.param({"limit_width_percent": {"blast": "5"}}, id="text as a width"),
        pytest.param({"quality": None}, id="null where a word is due"),
    ],
)
def test_what_is_no_order_at_all_is_malformed(order: object) -> None:
    with pytest.raises(MessageError) as caught:
        sent(order)
    assert caught.value.reject == "malformed" and "order" in str(caught.value)


def test_a_slip_of_the_pen_in_a_file_is_found() -> None:
    with pytest.raises(ValidationError, match="target_leucocytes"):
        OrderSetting.model_validate({"target_leucocytes": 200})
    assert isinstance(OrderSetting(target_leukocytes=200), RunOrder)
