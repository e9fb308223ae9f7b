"""Pixel AUROC, AP, F1max and AUPRO by anomalib's own metrics, for benches/pixel_metrics.rs.

Usage: pixel_metrics_anomalib.py SCORES.npy MASKS
Prints the time in seconds, then AUROC, AP, F1max and AUPRO. Its sums run in single precision, so the last digits differ.
"""

import sys
import time

import numpy
import torch
from anomalib.metrics.aupr import _AUPR
from anomalib.metrics.aupro import _AUPRO
from anomalib.metrics.auroc import _AUROC
from anomalib.metrics.f1_score import _F1Max

scores = torch.from_numpy(numpy.load(sys.argv[1]))
masks = torch.from_numpy(numpy.fromfile(sys.argv[2], dtype=numpy.uint8).reshape(scores.shape) > 0)
start = time.perf_counter()
found = []
for metric in (_AUROC(), _AUPR(), _F1Max(), _AUPRO()):
    metric.update(scores, masks.int() if isinstance(metric, _AUPRO) else masks)
    found.append(float(metric.compute()))
print(time.perf_counter() - start, *found)
