/** The files of a first search. What is in them runs as it is; the comments are for the one who changes it. */

/** How the Python of the evaluations is named. */
export interface TemplatePython {
  /** For `exec`: `python3`, or an absolute path where the sandbox has no python3 of its own. */
  readonly command: string;
  /** What evaluations must be shown for it. */
  readonly readOnlyPaths: readonly string[];
}

export function taskFile(name: string, python: TemplatePython): string {
  const shown = python.readOnlyPaths.map((path) => ` --readOnlyPath ${path}`).join("");
  const note =
    shown === ""
      ? '# "host:" are the machine\'s own programs, read-only; the rest of the machine is not seen.'
      : `# This Python lies outside of what evaluations see: start the server with hyperpilot up${shown}`;
  return `# One search. Try one point of it here:  hyperpilot submit --task search.toml --try
# Submit it:                             hyperpilot submit --task search.toml --wait
# Options of the command line win over this file: hyperpilot submit --help

name = ${JSON.stringify(name)}

# What is searched; the file lies beside this one. Instead, in one line:
# searchSpace = "learning_rate=log(1e-3,1) momentum=0..0.99 activation=tanh|relu"
searchSpaceFile = "space.json"

# "min": a lower loss is better. "max": a higher one.
direction = "min"

# The same seed proposes the same points, and gives every point the same
# HYPERPILOT_SEED.
seed = 1

[steering]
# Who proposes points: "tpe" learns from the losses so far, "random" and "grid"
# do not.
method = "tpe"

[evaluation]
# Run once per point, in a directory of its own with the *.json *.sh *.py *.yaml
# files of this one.
# It reads the point from input.json and writes {"loss": <number>} to output.json.
exec = ${JSON.stringify(`${python.command} train.py`)}
# An image instead of this machine's programs: "docker://...", a SIF file or a
# sandbox directory.
${note}
container = "host:"
# Seconds after which one evaluation is ended:
# timeoutSeconds = 3600

[limits]
# Points in the whole search, and evaluations at a time.
maxPoints = 16
nParallelEvaluation = 2

[needs]
# Of one evaluation. One that uses more memory than its slot has is ended.
cpus = 0.5
memoryBytes = 500_000_000

[checkpoint]
# What is kept of an evaluation whose machine goes away; the next one finds it
# and goes on from there.
save = ["checkpoint.json"]
intervalMinutes = 5
`;
}

export const SPACE_FILE = `{
  "learning_rate": { "method": "loguniform", "dimension": { "low": 0.001, "high": 1 } },
  "momentum": { "method": "uniform", "dimension": { "low": 0, "high": 0.99 } },
  "hidden_units": { "method": "loguniformint", "dimension": { "low": 2, "high": 16 } },
  "activation": { "method": "categorical", "dimension": { "categories": ["tanh", "relu"] } }
}
`;

export const TRAINING_FILE = `"""Trains a small neural network to tell two spirals apart, with the hyperparameters of input.json.

Pure Python, so that it runs anywhere. Replace model and data by yours; keep what is around them:
input.json in, output.json out, a checkpoint after every epoch, and a start from the checkpoint that is there.
"""

import json
import math
import os
import random

EPOCHS = 30
POINTS_PER_SPIRAL = 90
CHECKPOINT = "checkpoint.json"


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(path, value):
    """Complete or not at all: an evaluation may be ended at any moment."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path + ".part", path)


def spirals(random_):
    """Points of two spirals: (x, y, +1 or -1)."""
    points = []
    for index in range(POINTS_PER_SPIRAL):
        radius = index / POINTS_PER_SPIRAL
        angle = 1.25 * math.pi * radius
        for side in (1, -1):
            noise = random_.gauss(0, 0.02)
            x = side * radius * math.sin(angle) + noise
            y = side * radius * math.cos(angle) + noise
            points.append((x, y, side))
    return points


def activate(value, activation):
    """The activation and its derivative."""
    if activation == "relu":
        return (value, 1.0) if value > 0 else (0.0, 0.0)
    result = math.tanh(value)
    return result, 1 - result * result


def forward(weights, x, y, activation):
    hidden = []
    score = weights["bias"]
    for (a, b, c), out in zip(weights["hidden"], weights["out"]):
        value, slope = activate(a * x + b * y + c, activation)
        hidden.append((value, slope))
        score += out * value
    return hidden, score


def logistic_loss(score, label):
    margin = label * score
    return math.log1p(math.exp(-margin)) if margin > -30 else -margin


def mean_loss(weights, points, activation):
    losses = [logistic_loss(forward(weights, x, y, activation)[1], label) for x, y, label in points]
    return sum(losses) / len(losses)


def train_epoch(state, points, point, random_):
    """Stochastic gradient descent with momentum over all points once."""
    weights, speed = state["weights"], state["speed"]
    rate, momentum = point["learning_rate"], point["momentum"]
    for x, y, label in random_.sample(points, len(points)):
        hidden, score = forward(weights, x, y, point["activation"])
        margin = max(-30.0, min(30.0, label * score))
        slope = -label / (1 + math.exp(margin))
        speed["bias"] = momentum * speed["bias"] - rate * slope
        weights["bias"] += speed["bias"]
        for unit, (value, derivative) in enumerate(hidden):
            inner = slope * weights["out"][unit] * derivative
            speed["out"][unit] = momentum * speed["out"][unit] - rate * slope * value
            weights["out"][unit] += speed["out"][unit]
            for part, factor in enumerate((x, y, 1.0)):
                change = momentum * speed["hidden"][unit][part] - rate * inner * factor
                speed["hidden"][unit][part] = change
                weights["hidden"][unit][part] += change


def first_state(units, random_):
    return {
        "epoch": 0,
        "weights": {
            "hidden": [[random_.gauss(0, 2) for _ in range(3)] for _ in range(units)],
            "out": [random_.gauss(0, 1) for _ in range(units)],
            "bias": 0.0,
        },
        "speed": {"hidden": [[0.0] * 3 for _ in range(units)], "out": [0.0] * units, "bias": 0.0},
    }


def main():
    point = load("input.json")
    # Equal in all attempts of this point, different from point to point.
    seed = int(os.environ.get("HYPERPILOT_SEED", "0"))
    # The same data for every point, so that their losses compare.
    data = spirals(random.Random(0))
    held_out = [one for index, one in enumerate(data) if index // 2 % 3 == 1]
    training = [one for index, one in enumerate(data) if index // 2 % 3 != 1]

    if os.path.exists(CHECKPOINT):
        state = load(CHECKPOINT)
        print(f"resumed after epoch {state['epoch']}", flush=True)
    else:
        state = first_state(point["hidden_units"], random.Random(seed))

    loss = math.nan
    for epoch in range(state["epoch"], EPOCHS):
        try:
            train_epoch(state, training, point, random.Random(seed + epoch))
            loss = mean_loss(state["weights"], held_out, point["activation"])
        except OverflowError:
            # The learning rate was too high: NaN says so, and the point is not tried again.
            loss = math.nan
            break
        state["epoch"] = epoch + 1
        state["loss"] = loss
        save(CHECKPOINT, state)
        # One line per epoch, for the curves of the search.
        with open("intermediate.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": epoch + 1, "loss": loss}) + "\\n")
        print(f"epoch {epoch + 1} loss: {loss:.4f}", flush=True)
    # All epochs were done before an interruption: only the result was not written yet.
    if state["epoch"] == EPOCHS:
        loss = state["loss"]

    save("output.json", {"status": 0, "loss": loss, "message": f"after {state['epoch']} epochs"})


if __name__ == "__main__":
    main()
`;
