"""Annotated images in, a bundle out.

commands/      one file a command: arguments, one call, an exit code
recipe.py      all that decides what comes out of a training; overrides.py lays one over another
data/          readers/ of four formats give annotations, check/ says what is wrong with them, compose/ makes samples of them
models/        detectors behind one interface
weights/       pretrained weights that others wrote
loop/          training_run: what is checked and said; training_loop: the steps; optimiser_step: one of them
checkpoint.py  what a training leaves, and goes on from
evaluation/    measure: images to figures; crossvalidation: every image held back once
export/        a checkpoint becomes a bundle
reporting/     figures become a page, with the reference's beside them
"""
