"""Runs the command as a search does: a working directory with %IN, what it writes to %OUT, what it prints.

By hand, where the libraries are installed: PYTHONPATH=steering python3 -m unittest discover -s test/steering
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile

STEERING = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "steering")

from hyperpilot_steering.command import main

LIBRARIES = ("nevergrad", "skopt", "optuna")

EVERY_METHOD = {
    "flag": {"method": "categorical", "dimension": {"categories": [True, False], "grid_search": 0}},
    "depth": {"method": "categorical", "dimension": {"categories": [1, 1, 2], "grid_search": 0}},
    "name": {"method": "categorical", "dimension": {"categories": ["sgd", None, [1, 2]], "grid_search": 1}},
    "batch": {"method": "uniformint", "dimension": {"low": 10, "high": 30}},
    "momentum": {"method": "uniform", "dimension": {"low": 0, "high": 1}},
    "dropout": {"method": "quniform", "dimension": {"low": 0, "high": 0.5, "q": 0.1}},
    "units": {"method": "quniform", "dimension": {"low": 10, "high": 100, "q": 10}},
    "lr": {"method": "loguniform", "dimension": {"low": 1e-5, "high": 0.1, "base": 10}},
    "decay": {"method": "qloguniform", "dimension": {"low": 1, "high": 1000, "q": 5, "base": 10}},
    "shift": {"method": "normal", "dimension": {"mu": 1, "sigma": 2}},
    "steps": {"method": "qnormal", "dimension": {"mu": 0, "sigma": 10, "q": 2}},
    "scale": {"method": "lognormal", "dimension": {"mu": 0, "sigma": 1}},
    "count": {"method": "qlognormal", "dimension": {"mu": 3, "sigma": 1, "q": 1}},
    "const": {"method": "fixed", "dimension": {"value": {"kept": [1, 2.0]}}},
}


def uniform(low=0, high=1):
    return {"method": "uniform", "dimension": {"low": low, "high": high}}


class Answer:
    def __init__(self, exit_code, stderr, points_text):
        self.exit_code = exit_code
        self.stderr = stderr
        self.points_text = points_text

    @property
    def points(self):
        if self.exit_code != 0:
            raise AssertionError(f"exit code {self.exit_code}: {self.stderr}")
        return json.loads(self.points_text)


def generate(*words, points=None, space=None, seed=1, text=None, files=None, is_process=False):
    """Runs `hpogrid generate` with these words; points and space go into %IN, `text` is %IN as it is."""
    if text is None:
        text = json.dumps({"points": points or [], "opt_space": space})
    files = {"in.json": text, **(files or {})}
    words = ["generate", "--infile=in.json", "--outfile=out.json", *words]
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(content)
        run = run_process if is_process else run_here
        exit_code, stderr = run(words, directory, {} if seed is None else {"HYPERPILOT_SEED": str(seed)})
        left = set(os.listdir(directory)) - {*files, "out.json"}
        if left:
            raise AssertionError(f"left behind: {left}")
        written = None
        output = os.path.join(directory, "out.json")
        if os.path.exists(output):
            with open(output, encoding="utf-8") as file:
                written = file.read()
        return Answer(exit_code, stderr, written)


def run_here(words, directory, environment):
    """In this process, where the libraries are loaded once."""
    before, saved = os.getcwd(), os.environ.pop("HYPERPILOT_SEED", None)
    os.chdir(directory)
    os.environ.update(environment)
    try:
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            try:
                exit_code = main(words)
            except SystemExit as end:
                exit_code = end.code
        return exit_code, stderr.getvalue()
    finally:
        os.chdir(before)
        os.environ.pop("HYPERPILOT_SEED", None)
        if saved is not None:
            os.environ["HYPERPILOT_SEED"] = saved


def run_process(words, directory, environment):
    """As in an image, by the launcher; the libraries are found where this process has them."""
    start = f"import sys; sys.path.extend({[path for path in sys.path if path]!r})"
    boot = f"{start}; sys.argv = sys.argv[1:]; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", boot, os.path.join(STEERING, "launch.py"), *words],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr
