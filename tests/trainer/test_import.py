"""What importing the trainer may not do."""

import subprocess
import sys

FORKED = """
import os, signal, sys
import cv2
cv2.setNumThreads(4)   # also where the machine has one core
import trainer.cli, trainer.loop.training_run, trainer.evaluation.crossvalidation
child = os.fork()
if not child:
    signal.alarm(20)   # SIGALRM is not caught: it ends a process that hangs in native code, too
    cv2.setNumThreads(1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
"""


def test_a_process_forked_after_the_import_can_set_opencvs_threads() -> None:
    # One picture operation on import makes OpenCV's pool of threads, which a forked process waits for and does not have.
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
