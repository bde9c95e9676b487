"""One file per format of annotations, and what describes the data sets: folders, scales, classes."""
