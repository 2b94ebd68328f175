"""The files that a run is given and leaves. Numbers that JSON does not know are refused in both directions."""

import json
import math
import os
import tempfile

from .errors import WrongInput


def read_json(path, what):
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongInput(f"{what} {path} cannot be read: {error}") from None
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise WrongInput(f"{what} {path} is not JSON: {error}") from None


def _refuse(word):
    raise ValueError(f"{word} is no number of JSON")


def read_input(path):
    """What %IN holds: the entries of its points, and its opt_space or None."""
    value = read_json(path, "the input file")
    points = value.get("points", []) if isinstance(value, dict) else None
    if not isinstance(points, list):
        raise WrongInput(
            f'the input file {path} must be {{"points": [[{{...}}, loss or null], ...], "opt_space": {{...}}}}'
        )
    return points, value.get("opt_space")


def read_loss(value, metric, place):
    """A number, or an object that holds it under the metric's name; None for a point that is not evaluated yet."""
    if isinstance(value, dict):
        if metric not in value:
            raise WrongInput(f'{place} has results without "{metric}"; name one of them with --metric')
        value = value[metric]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise WrongInput(f"{place} has the loss {json.dumps(value)}, which is no number")
    return float(value)


def write_points(path, points):
    """The whole list or nothing: a run that is killed leaves no half a file."""
    text = json.dumps(points, allow_nan=False) + "\n"
    if path is None:
        print(text, end="")
        return
    directory = os.path.dirname(os.path.abspath(path))
    partial = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=directory, delete=False) as file:
            partial = file.name
            file.write(text)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except OSError as error:
        if partial is not None and os.path.exists(partial):
            os.unlink(partial)
        raise WrongInput(f"the output file {path} cannot be written: {error}") from None
