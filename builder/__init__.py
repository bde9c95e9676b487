"""A bundle in, checked engines out.

commands/        one file a command: arguments, one call, an exit code
inspection       what is in a bundle; graph_contract: whether every engine can run its graph
engine_build     from a bundle to an engine on disk: half_graph makes the FP16 graph, ranges says how near its values come to
                 the largest of FP16 (on images), build_process builds in a process of its own, where trt_build calls TensorRT
parity_gate      reference, FP16 emulation and engines on the same images: executors run them, parity judges them
display          what the commands show; gate_display and progress_bars, too
trt_builder_api  TensorRT's API as types: all of it that is used
"""
