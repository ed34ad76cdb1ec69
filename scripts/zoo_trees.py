#!/usr/bin/env python3
"""Small classic models, trained here on made data and written as ONNX: trees, a support vector machine, a pipeline.

scripts/zoo.py calls this inside an environment that holds scikit-learn, lightgbm, skl2onnx and onnxmltools.

usage: zoo_trees.py FOLDER
"""

import sys
from pathlib import Path

import lightgbm
import numpy as np
import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType as LightFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

COLUMNS = 12


def main():
    folder = Path(sys.argv[1])
    x, label, number = data()
    models = {
        "forest": RandomForestClassifier(60, max_depth=8, random_state=0).fit(x, label),
        "boosting": GradientBoostingRegressor(n_estimators=80, random_state=0).fit(x, number),
        "svc_rbf": SVC(probability=True, random_state=0).fit(x[:600], label[:600]),
        "mlp_pipeline": make_pipeline(StandardScaler(), MLPClassifier((48, 24), random_state=0)).fit(x, label),
        "kmeans_pca": make_pipeline(PCA(6), KMeans(5, n_init=3, random_state=0)).fit(x),
    }
    for name, model in models.items():
        # Plain tensors for probabilities, where a map is the converter's habit.
        options = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
        shape = [("X", FloatTensorType([None, COLUMNS]))]
        save(to_onnx(model, initial_types=shape, options=options, target_opset=17), folder / f"{name}.onnx")
    light = lightgbm.LGBMRegressor(n_estimators=120, num_leaves=31, verbose=-1, n_jobs=1).fit(x, number)
    shape = [("X", LightFloats([None, COLUMNS]))]
    save(onnxmltools.convert_lightgbm(light, initial_types=shape), folder / "lightgbm_rank.onnx")


def data():
    """A table, a label of four kinds and a number that hang on it in a bent way."""
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (3000, COLUMNS)).astype(np.float32)
    number = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + np.abs(x[:, 3]) + 0.1 * rng.normal(size=len(x))
    label = (x[:, 0] * x[:, 4] > 0).astype(int) * 2 + (number > np.median(number))
    return x, label, number


def save(model, path):
    path.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
