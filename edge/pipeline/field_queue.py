"""The bounded queue between the grabbing thread and the loop, with its policy spelled out."""

import threading
from collections import deque
from dataclasses import replace

from edge.camera.frame import Frame
from edge.pipeline.arrivals import Arrival, Ending, News, Note
from edge.settings import Policy

DROPPED = "a newer field took its place: the run keeps only the latest fields"
MAX_DROPPED = 1024
"""Dropped frames not yet accounted for at which even `latest` holds its source back until all of them are."""

REFUSED = "the run was ending when this field arrived"


class FieldQueue:
    """At most `capacity` frames with an image wait here. Whatever is put comes out exactly once and in the same order.

    `lossless`: `put` waits for room, which holds the source back. `latest`: the oldest waiting frame loses its image and
    comes out as skipped. Once closed, frames come out as skipped, too.
    """

    def __init__(self, capacity: int, policy: Policy) -> None:
        self._capacity = capacity
        self._policy = policy
        self._changed = threading.Condition()
        self._notes: deque[Note] = deque()
        # The oldest waiting frame is dropped first and refused ones come last: three queues in sequence keep the order.
        self._dropped: deque[Frame] = deque()
        self._waiting: deque[Frame] = deque()
        self._refused: deque[Frame] = deque()
        self._ending: Ending | None = None
        self._closed = False

    def put(self, frame: Frame) -> bool:
        """Hand over a frame; False when the queue is closed, so that no more should be put."""
        with self._changed:
            if self._policy == "lossless":
                self._changed.wait_for(lambda: self._closed or len(self._waiting) < self._capacity)
            elif len(self._dropped) >= MAX_DROPPED:
                self._changed.wait_for(lambda: self._closed or not self._dropped)
            if self._closed:
                self._refused.append(replace(frame, image=None))
            else:
                if len(self._waiting) >= self._capacity:
                    self._dropped.append(replace(self._waiting.popleft(), image=None))
                self._waiting.append(frame)
            self._changed.notify_all()
            return not self._closed

    def note(self, note: Note) -> None:
        with self._changed:
            self._notes.append(note)
            self._changed.notify_all()

    def end(self, ending: Ending) -> None:
        """Nothing will be put from now on."""
        with self._changed:
            self._ending = ending
            self._changed.notify_all()

    def close(self) -> None:
        """Take in nothing more; what waits already still comes out to be processed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Frames with an image that wait; any thread may ask."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        return self._closed

    def get(self, timeout_s: float) -> News | None:
        """The next in order, the ending once all is out (every time), or None when nothing came in time."""
        with self._changed:
            self._changed.wait_for(self._has_news, timeout_s)
            return self._next()

    def _has_news(self) -> bool:
        return bool(self._notes or self._dropped or self._waiting or self._refused or self._ending)

    def _next(self) -> News | None:
        if self._notes:
            return self._notes.popleft()
        if self._dropped:
            self._changed.notify_all()
            return Arrival(self._dropped.popleft(), DROPPED)
        if self._waiting:
            self._changed.notify_all()
            return Arrival(self._waiting.popleft())
        if self._refused:
            return Arrival(self._refused.popleft(), REFUSED)
        return self._ending
