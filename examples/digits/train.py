"""Trains a small neural network on the digits data set with the hyperparameters of input.json."""

import json
import os
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

with open("input.json", encoding="utf-8") as file:
    point = json.load(file)

# The same split for every point, so that their losses compare; the seed of the point for everything else.
images, labels = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    images / 16.0, labels, test_size=0.4, random_state=0, stratify=labels
)
model = MLPClassifier(
    hidden_layer_sizes=(point["hidden_units"],) * point["layers"],
    activation=point["activation"],
    learning_rate_init=point["learning_rate"],
    beta_1=point["beta_1"],
    max_iter=40,
    random_state=int(os.environ.get("HYPERPILOT_SEED", "0")),
)

# One thread per evaluation: many of them share the machine.
with threadpool_limits(limits=1), warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    model.fit(train_x, train_y)

accuracy = float(model.score(test_x, test_y))
with open("output.json", "w", encoding="utf-8") as file:
    json.dump({"status": 0, "loss": 1 - accuracy, "message": f"accuracy {accuracy:.4f}"}, file)
print(f"accuracy {accuracy:.4f} after {model.n_iter_} epochs")
