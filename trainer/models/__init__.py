"""Detectors, one file each, behind one interface (`models.detector.Detector`)."""
