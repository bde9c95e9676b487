"""OpenCV's own chatter on standard error is switched off: every failure it prints is reported by us, once, as a sentence."""

import os

import cv2

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when the first video is opened


def quiet_opencv() -> None:
    """Silence OpenCV's logger in this process; idempotent. libpng and libjpeg still print a line of their own."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
