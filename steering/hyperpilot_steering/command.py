"""The command `hpogrid generate`, with the flags of the program of that name."""

import argparse
import os
import random
import sys

from .errors import WrongInput
from .files import read_input, read_json, write_points
from .libraries import LIBRARIES, default_library, load_library
from .search import read_searches, shares

DESCRIPTION = "Proposes the next points of a search, from the losses of the points so far."


def main(words):
    """Exit codes: 0 the points are written, 1 something given cannot be used, 2 wrong command line."""
    settings = _parser().parse_args(words)
    try:
        return _generate(settings)
    except WrongInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _generate(settings):
    library = load_library(settings.lib or default_library())
    entries, opt_space = read_input(settings.infile) if settings.infile else ([], None)
    source = "opt_space"
    if settings.space is not None:
        opt_space, source = read_json(settings.space, "the search space"), settings.space
    if opt_space is None:
        raise WrongInput("there is no search space: give --space FILE, or opt_space in the input file")
    searches = read_searches(entries, opt_space, source, settings)
    counts = shares(searches, settings.n_point, settings.max_point)
    seeds = random.Random(_seed())
    points = []
    for model, search in searches.items():
        seed = seeds.getrandbits(32)
        new = search.propose(library, counts[model], seed, settings) if counts[model] > 0 else []
        points += new if model is None else [[model, point] for point in new]
    write_points(settings.outfile, points)
    return 0


def _seed():
    text = os.environ.get("HYPERPILOT_SEED", "")
    if text == "":
        return None
    if not text.isascii() or not text.isdigit():
        raise WrongInput(f"HYPERPILOT_SEED is {text!r}, not a whole number")
    return int(text)


def _count(text):
    value = int(text)
    if value < 0:
        raise ValueError
    return value


_count.__name__ = "number of points"


def _parser():
    parser = argparse.ArgumentParser(prog="hpogrid", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="generate")
    generate = commands.add_parser("generate", help=DESCRIPTION, description=DESCRIPTION)
    add = generate.add_argument
    add("-l", "--lib", choices=sorted(LIBRARIES), help="library (the first that is installed)")
    add("-n", "--n_point", type=_count, default=1, help="points to have under way (1)")
    add("-m", "--max_point", type=_count, help="points of the whole search (no limit)")
    add("-s", "--space", metavar="FILE", help="search space (opt_space of the input file)")
    add("-i", "--infile", metavar="FILE", help="points so far, with losses (none)")
    add("-o", "--outfile", metavar="FILE", help="where the new points go (standard output)")
    add("-e", "--metric", default="loss", help="which result to optimise, where there are several (loss)")
    add("-d", "--mode", choices=("min", "max"), default="min", help="whether less or more is better (min)")
    add("--method", help="optimizer, sampler or model of the library (see the README)")
    return parser
