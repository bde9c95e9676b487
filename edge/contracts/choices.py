"""Words that a setting offers and that the room it is for understands: plain types, so that settings stand below every room."""

from typing import Literal

AnnotationFormat = Literal["yolo", "coco"]
"""What annotation tools open."""

Correct = Literal["profile", "nothing"]
"""What is done to a field's light and colours before it is looked at: what the profile holds, or nothing."""

Durability = Literal["full", "normal"]
"""Of a journal. full: every commit is synchronised to the disk before its records can be read; normal: the system does that
when it likes, so that a power cut may take the newest ones."""

EngineChoice = Literal["auto", "openvino", "tensorrt", "tensorrt_rtx"]
"""Which runtime computes; auto: a compiled engine where the machine has a GPU and one that fits, else OpenVINO."""

Hint = Literal["auto", "latency", "throughput"]
"""What OpenVINO is to be good at: each field as soon as possible, by all cores one after the other; or many per second, several
side by side, each for itself slower. "auto": what the command is for."""

HintTaken = Literal["latency", "throughput"]
"""The one that an engine was opened with."""

LogFormat = Literal["text", "json"]
"""How a line of the log is written: for people, or for programs."""

LogLevel = Literal["debug", "info", "warning", "error"]
"""The least that is told."""

Policy = Literal["lossless", "latest"]
"""What gives way to an engine that is slower than the camera: the source waits, or the oldest waiting field is dropped."""

Precision = Literal["auto", "bf16", "f32"]
"""What OpenVINO may be asked to compute in; "auto" is the fastest the CPU has natively. A compiled engine has its own."""
