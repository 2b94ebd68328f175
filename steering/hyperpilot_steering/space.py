"""The search space: its parameters in the order of the file, and how it is read."""

import json
import math

from .errors import WrongInput
from .parameters import Choice, Fixed, Normal, Number, Range

RANGES = ("uniform", "uniformint", "quniform", "loguniform", "loguniformint", "qloguniform")
NORMALS = ("normal", "qnormal", "lognormal", "qlognormal")
METHODS = ("categorical", *RANGES, *NORMALS, "fixed")


class Space:
    """The parameters of one search space, in the order of the file."""

    def __init__(self, parameters):
        self.parameters = parameters
        # What has one value only is none of a library's business.
        self.axes = [parameter for parameter in parameters.values() if parameter.count > 1]
        self.combinations = math.prod(parameter.count for parameter in parameters.values())

    def point(self, coordinates):
        """The point at these coordinates, as it is written to a file."""
        rest = iter(coordinates)
        return {
            name: parameter.value(next(rest) if parameter.count > 1 else 0)
            for name, parameter in self.parameters.items()
        }

    def coordinates(self, point):
        """The coordinates of a point; None when it is none of this space."""
        found = []
        for name, parameter in self.parameters.items():
            if parameter.count == 1:
                continue
            place = parameter.coordinate(point[name]) if name in point else None
            if place is None:
                return None
            found.append(place)
        return found

    def draw(self, random):
        return [axis.draw(random) for axis in self.axes]

    @staticmethod
    def key(point):
        """Equal for points that are the same to an evaluation: 1.0 is 1, the order of names does not matter."""
        plain = {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in point.items()
        }
        return json.dumps(plain, sort_keys=True)


def parse_space(value, name):
    """Makes a Space of {name: {"method": M, "dimension": {...}}}. Errors: WrongInput."""
    if not isinstance(value, dict) or not value:
        raise WrongInput(
            f"{name}: the search space must be an object such as "
            f'{{"lr": {{"method": "uniform", "dimension": {{"low": 0, "high": 1}}}}}}'
        )
    return Space({key: _parameter(entry, f'{name}: "{key}"') for key, entry in value.items()})


def _parameter(entry, name):
    method = entry.get("method") if isinstance(entry, dict) else None
    dimension = entry.get("dimension") if isinstance(entry, dict) else None
    if method not in METHODS:
        raise WrongInput(f'{name} needs a "method", one of {", ".join(METHODS)}')
    if not isinstance(dimension, dict):
        raise WrongInput(f'{name} needs a "dimension": {{...}}')
    if method == "fixed":
        if "value" not in dimension:
            raise WrongInput(f'{name} needs a "value" in its dimension')
        return Fixed(dimension["value"])
    if method == "categorical":
        categories = dimension.get("categories")
        if not isinstance(categories, list) or not categories:
            raise WrongInput(f'{name} needs "categories": [...] with at least one of them')
        return Choice(categories)
    is_logarithmic = "log" in method
    if method in NORMALS:
        mu, sigma = _number(dimension, "mu", name), _number(dimension, "sigma", name)
        if sigma <= 0:
            raise WrongInput(f'{name}: "sigma" {sigma} must be greater than 0')
        step = _step(method, dimension, name)
        normal = Normal(mu, sigma, step, is_logarithmic, _is_whole(step))
        try:
            normal.value(1)
        except OverflowError:
            raise WrongInput(f"{name} reaches numbers that cannot be written; make mu or sigma smaller") from None
        return normal
    return _range(method, dimension, name, is_logarithmic)


def _range(method, dimension, name, is_logarithmic):
    low, high = _number(dimension, "low", name), _number(dimension, "high", name)
    step = 1 if method.endswith("int") else _step(method, dimension, name)
    if method.endswith("int") and not (_is_whole(low) and _is_whole(high)):
        raise WrongInput(f'{name}: "low" and "high" must be integers')
    if low > high:
        raise WrongInput(f'{name}: "low" {low} is greater than "high" {high}')
    if is_logarithmic and low <= 0:
        raise WrongInput(f'{name}: "low" {low} must be greater than 0 on a logarithmic scale')
    if step is not None and math.floor(high / step) < math.ceil(low / step):
        raise WrongInput(f'{name}: no multiple of "q" {step} lies between "low" and "high"')
    if step is None:
        low, high = float(low), float(high)
    return Range(low, high, step, is_logarithmic, _is_whole(step))


def _number(dimension, key, name):
    value = dimension.get(key)
    if not Number.is_number(value):
        raise WrongInput(f'{name}: "{key}" must be a number')
    return value


def _step(method, dimension, name):
    if not method.startswith("q"):
        return None
    step = _number(dimension, "q", name)
    if step <= 0:
        raise WrongInput(f'{name}: "q" {step} must be greater than 0')
    return step


def _is_whole(value):
    return value is not None and float(value).is_integer()
