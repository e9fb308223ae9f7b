"""Cross-validated logistic regression by scikit-learn, for benches/fusion.rs.

Usage: fusion.py FEATURES.npy TRUTH.npy
Prints two times in milliseconds: with scikit-learn's own settings, and to the accuracy that the other side reaches.
"""

import sys
import time
import warnings

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.simplefilter("ignore")
features = numpy.load(sys.argv[1]).astype(numpy.float64)
truth = numpy.load(sys.argv[2]).astype(int)
for settings in ({}, {"tol": 1e-8, "max_iter": 10000}):
    start = time.perf_counter()
    model = make_pipeline(StandardScaler(), LogisticRegression(**settings))
    cross_val_predict(model, features, truth, cv=StratifiedKFold(3), method="predict_proba")
    print((time.perf_counter() - start) * 1e3)
