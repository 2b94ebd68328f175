"""Trains a small model, saves its state after each epoch, and goes on from there when it is started again.

Only the standard library is used, and every random number comes from the state, so that a training that was interrupted
ends with the same loss, to the last digit, as one that was not.
"""

import argparse
import json
import math
import os
import random
import tarfile
import time

STATE = "state/state.json"
SAMPLES = 200


def data():
    """Points of a noisy line with a bend: the same for every evaluation."""
    source = random.Random(1)
    xs = [source.uniform(-2.0, 2.0) for _ in range(SAMPLES)]
    return [(x, math.tanh(1.5 * x) + 0.3 * x + source.gauss(0.0, 0.05)) for x in xs]


def fresh_state():
    seed = int(os.environ.get("HYPERPILOT_SEED", "0"))
    source = random.Random(seed)
    weights = [source.gauss(0.0, 0.5) for _ in range(3)]
    return {"epoch": 0, "weights": weights, "velocity": [0.0] * 3, "random": list(source.getstate()[1])}


def load_state(tarball):
    """The state of an earlier evaluation of this point, or a fresh one."""
    if tarball is not None and os.path.exists(tarball):
        with tarfile.open(tarball) as archive:
            return json.load(archive.extractfile("./" + STATE))
    if tarball is None and os.path.exists(STATE):
        with open(STATE, encoding="utf-8") as file:
            return json.load(file)
    return fresh_state()


def save_state(state):
    """Written aside and renamed: whoever looks sees the old state or the new one, never half of it."""
    os.makedirs(os.path.dirname(STATE), exist_ok=True)
    with open(STATE + ".new", "w", encoding="utf-8") as file:
        json.dump(state, file)
    os.replace(STATE + ".new", STATE)


def gradient(weights, x, y):
    bend, slope, offset = weights
    curve = math.tanh(bend * x)
    error = curve + slope * x + offset - y
    return error * error, [2 * error * (1 - curve * curve) * x, 2 * error * x, 2 * error]


def train_epoch(state, samples, point):
    source = random.Random()
    source.setstate((3, tuple(state["random"]), None))
    order = list(range(len(samples)))
    source.shuffle(order)
    total = 0.0
    for index in order:
        loss, slopes = gradient(state["weights"], *samples[index])
        total += loss
        for place, slope in enumerate(slopes):
            step = point["momentum"] * state["velocity"][place] - point["learning_rate"] * slope
            state["velocity"][place] = step
            state["weights"][place] += step
    state["random"] = list(source.getstate()[1])
    state["epoch"] += 1
    return total / len(samples)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--epochs", type=int, default=40)
    options.add_argument("--seconds", type=float, default=0.5, help="time of one epoch, as if it were a large model")
    options.add_argument("--tarball", help="name of the checkpoint's tarball, with --checkPointToLoad")
    options = options.parse_args()
    with open("input.json", encoding="utf-8") as file:
        point = json.load(file)
    samples = data()
    state = load_state(options.tarball)
    print(f"begins after epoch {state['epoch']}", flush=True)
    loss = float("nan")
    while state["epoch"] < options.epochs:
        time.sleep(options.seconds)
        loss = train_epoch(state, samples, point)
        state["loss"] = loss
        save_state(state)
        print(f"epoch {state['epoch']} loss {loss:.6f}", flush=True)
    with open("output.json", "w", encoding="utf-8") as file:
        json.dump({"status": 0, "loss": state["loss"]}, file)


main()
