"""The process that runs on the scanner: camera to counts over ZeroMQ."""
