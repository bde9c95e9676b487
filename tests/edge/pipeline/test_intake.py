"""The bounded queue: what is put comes out once and in order, and only the policy decides what waits."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stand_ins import frame_of

from edge.camera.frame import SourceNote
from edge.contracts.records import RunOutcome
from edge.pipeline.intake import DROPPED, MAX_DROPPED, REFUSED, Arrival, Ending, FieldQueue

pytestmark = pytest.mark.timeout(20)
END = Ending(RunOutcome.COMPLETED)


def drain(queue: FieldQueue) -> list[tuple[int, str]]:
    out = []
    while isinstance(incoming := queue.get(0), Arrival):
        out.append((incoming.frame.field_index, incoming.skipped))
    return out


@given(st.integers(1, 4), st.lists(st.sampled_from(["put", "get", "close"]), max_size=40))
def test_latest_gives_every_frame_once_in_order_and_holds_few_images(capacity: int, steps: list[str]) -> None:
    queue, n_put, out, images = FieldQueue(capacity, "latest"), 0, [], []
    for step in steps:
        if step == "put":
            frame = frame_of(n_put)
            queue.put(frame)
            n_put += 1
        elif step == "close":
            queue.close()
        elif isinstance(incoming := queue.get(0), Arrival):
            out.append(incoming.frame.field_index)
    while isinstance(incoming := queue.get(0), Arrival):
        out.append(incoming.frame.field_index)
        images.append(incoming.frame.image is not None)
        assert bool(incoming.skipped) is (incoming.frame.image is None)
    assert out == list(range(n_put))
    assert sum(images) <= capacity


def test_latest_drops_the_oldest_waiting_frame() -> None:
    queue = FieldQueue(2, "latest")
    assert all(queue.put(frame_of(index)) for index in range(5))
    assert drain(queue) == [(0, DROPPED), (1, DROPPED), (2, DROPPED), (3, ""), (4, "")]


def test_lossless_holds_the_source_back_until_there_is_room() -> None:
    queue = FieldQueue(2, "lossless")
    done = threading.Event()

    def put_three() -> None:
        for index in range(3):
            queue.put(frame_of(index))
        done.set()

    thread = threading.Thread(target=put_three)
    thread.start()
    assert not done.wait(0.1)
    assert isinstance(first := queue.get(1.0), Arrival)
    assert done.wait(5)
    thread.join()
    assert [first.frame.field_index, *[index for index, _ in drain(queue)]] == [0, 1, 2]


def test_closing_releases_a_waiting_source_and_keeps_what_waits() -> None:
    queue = FieldQueue(1, "lossless")
    queue.put(frame_of(0))
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(queue.put(frame_of(1))))
    thread.start()
    queue.close()
    thread.join(5)
    assert answers == [False]
    assert drain(queue) == [(0, ""), (1, REFUSED)]


def test_the_account_of_dropped_frames_is_bounded_too() -> None:
    queue = FieldQueue(1, "latest")
    for index in range(MAX_DROPPED + 1):
        queue.put(frame_of(index))
    thread = threading.Thread(target=lambda: queue.put(frame_of(MAX_DROPPED + 1)))
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    assert [index for index, _ in drain(queue)][: MAX_DROPPED + 1] == list(range(MAX_DROPPED + 1))
    thread.join(5)
    assert not thread.is_alive()


def test_notes_come_first_and_the_ending_last_and_again() -> None:
    queue = FieldQueue(2, "lossless")
    assert queue.get(0) is None
    queue.put(frame_of(0))
    queue.end(END)
    queue.note(note := SourceNote("converted", "grey images are converted."))
    assert queue.get(0) is note
    assert isinstance(queue.get(0), Arrival)
    assert (queue.get(0), queue.get(0)) == (END, END)
