"""Pixel figures by scikit-learn and, for AUPRO, by the arithmetic of MVTec's evaluation, for benches/pixel_metrics.rs.

Usage: pixel_metrics.py SCORES.npy MASKS
Prints the time in seconds, then AUROC, AP, F1max and AUPRO.
"""

import sys
import time
from pathlib import Path

import numpy

sys.path.append(str(Path(__file__).parents[2] / "tests" / "fixtures" / "metrics"))
from pixels import figures

scores = numpy.load(sys.argv[1])
masks = numpy.fromfile(sys.argv[2], dtype=numpy.uint8).reshape(scores.shape) > 0
start = time.perf_counter()
found = figures(scores, masks)
print(time.perf_counter() - start, found["auroc"], found["ap"], found["f1_max"], found["aupro"])
