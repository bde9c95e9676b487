"""Keeps OpenVINO from moving signal handlers to a stack that is soon gone.

On a CPU with wide registers OpenVINO gives the thread that compiles a model a stack of its own for signal handlers, and puts
the former one back when the model goes. Of two models that overlap, the second puts back the first one's, which is freed by
then: the next signal, a SIGTERM that should end a run in order, is a segmentation fault. Python's handlers need no such stack.
"""

import ctypes
import sys

_SS_DISABLE = 2  # signal.h on Linux


class _Stack(ctypes.Structure):
    """`stack_t`."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack_size() -> int:
    """Bytes of the stack that signal handlers of this thread have for themselves; 0 when they run on the thread's own."""
    stack = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return 0 if stack.flags & _SS_DISABLE else int(stack.size)


def use_thread_stack_for_signals() -> None:
    """Run signal handlers of this thread on its own stack. Nothing to do on other systems than Linux."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(None, _SS_DISABLE, 0)), None)
