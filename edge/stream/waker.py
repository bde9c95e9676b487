"""Wakes the server's poll from another thread, so that nothing has to poll the journal."""

import contextlib
import socket
import threading


class Waker:
    """A socket pair: `wake` from any thread, `fileno` for the poller, `drain` from the polling thread."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._lock = threading.Lock()
        self._open = True

    def fileno(self) -> int:
        return self._receiver.fileno()

    def wake(self) -> None:
        """Make the poll return. Never blocks; after `close` it does nothing, because the journal may outlive the server."""
        with self._lock, contextlib.suppress(BlockingIOError):  # a full buffer wakes as well as one byte more
            if self._open:
                self._sender.send(b"w")

    def drain(self) -> None:
        """Forget the wake-ups so far."""
        with contextlib.suppress(BlockingIOError):
            while len(self._receiver.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        with self._lock:
            self._open = False
            self._sender.close()
            self._receiver.close()
