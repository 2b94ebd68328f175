"""The libraries by the names of --lib. A library is loaded when it is used: each image holds its own only.

Each module has `suggestions(search, count, seed, settings)`, an iterator over coordinates: it is told everything at once,
lies for the points under way, and takes each point that it yields as one under way too.
"""

import importlib
import importlib.util

from .errors import WrongInput

LIBRARIES = {
    # name: (module here, package that it needs)
    "nevergrad": ("with_nevergrad", "nevergrad"),
    "skopt": ("with_skopt", "skopt"),
    "optuna": ("with_optuna", "optuna"),
    "grid": ("with_grid", None),
    "random": ("with_random", None),
    # Known to the program of that name, in none of these images.
    "hyperopt": (None, "hyperopt"),
    "ax": (None, "ax"),
    "bohb": (None, "hpbandster"),
}


def _is_installed(package):
    return package is None or importlib.util.find_spec(package) is not None


def installed_libraries():
    return [name for name, (module, package) in LIBRARIES.items() if module and _is_installed(package)]


def default_library():
    return installed_libraries()[0]


def load_library(name):
    module, _package = LIBRARIES[name]
    if name not in installed_libraries():
        raise WrongInput(f"this image has no library {name}; it has {', '.join(installed_libraries())}")
    return importlib.import_module(f".{module}", __package__)


def wrong_method(library, method, known):
    return WrongInput(f"{library} has no method {method!r} here; it has {', '.join(sorted(known))}")
