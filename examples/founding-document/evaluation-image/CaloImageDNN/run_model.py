"""Trains a small convolutional network on the energy of showers and leaves output.json and mlruns/. Plain Python."""

import argparse
import json
import os
import random
import time

from network import Network


def is_true(text):
    return text.lower() == "true"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", "--input", required=True)
    parser.add_argument("--exp_dir", required=True)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--rm_bad_reco", type=is_true, default=False)
    parser.add_argument("--zee_only", type=is_true, default=False)
    parser.add_argument("-g", "--gpu", help="taken, but there is nothing for a GPU to do")
    options = parser.parse_args()
    with open(options.input) as file:
        point = json.load(file)
    with open(os.path.join(options.exp_dir, "settings.json")) as file:
        settings = json.load(file)
    with open(options.data_path) as file:
        events = json.load(file)
    events = [
        event
        for event in events
        if not (options.rm_bad_reco and event["is_bad"]) and (event["is_zee"] or not options.zee_only)
    ]
    source = random.Random(int(os.environ.get("HYPERPILOT_SEED", "1")))
    losses = train(point, settings, events, source)
    write_mlruns(point, losses)
    loss = losses[-1]
    # A loss that is no number says that the training diverged; the search goes on.
    answer = {"status": 0, "loss": loss, "message": f"mean squared error after {len(losses)} epochs"}
    with open("output.json", "w") as file:
        json.dump(answer, file)


def train(point, settings, events, source):
    """The loss on the test events after each epoch."""
    source.shuffle(events)
    split = int(len(events) * settings["test_share"])
    test, training = events[:split], events[split:]
    network = Network(len(events[0]["image"]), point["cnn_block_depths"], source)
    rate = settings["learning_rate"]
    losses = []
    for epoch in range(point["epoch"]):
        source.shuffle(training)
        for begin in range(0, len(training), point["batch_size"]):
            network.learn(training[begin : begin + point["batch_size"]], rate)
        errors = [network.predict(event["image"]) - event["energy"] for event in test]
        losses.append(sum(error * error for error in errors) / len(errors))
        print(f"epoch {epoch}: loss {losses[-1]:.5f}", flush=True)
        if point["auto_lr"]:
            rate *= 0.9
    return losses


def write_mlruns(point, losses):
    """One run in the layout of MLflow's file store."""
    store = os.environ.get("MLFLOW_TRACKING_URI", "file:mlruns").removeprefix("file:")
    name = f"point{os.environ.get('HYPERPILOT_POINT', '0')}"
    run = os.path.join(store, "0", name)
    for part in ("params", "metrics", "tags", "artifacts"):
        os.makedirs(os.path.join(run, part), exist_ok=True)
    now = int(time.time() * 1000)
    with open(os.path.join(store, "0", "meta.yaml"), "w") as file:
        file.write("experiment_id: '0'\nname: CaloImageDNN\nlifecycle_stage: active\nartifact_location: mlruns/0\n")
    with open(os.path.join(run, "meta.yaml"), "w") as file:
        file.write(f"run_id: {name}\nrun_uuid: {name}\nrun_name: {name}\nexperiment_id: '0'\nstatus: 3\n")
        file.write(f"start_time: {now}\nend_time: {now}\nlifecycle_stage: active\nuser_id: hyperpilot\n")
        file.write("source_name: ''\nsource_type: 4\nsource_version: ''\ntags: []\nartifact_uri: mlruns/0/artifacts\n")
    for key, value in point.items():
        with open(os.path.join(run, "params", key), "w") as file:
            file.write(json.dumps(value))
    with open(os.path.join(run, "metrics", "loss"), "w") as file:
        file.writelines(f"{now} {loss!r} {step}\n" for step, loss in enumerate(losses))


main()
