"""scikit-optimize: --method is its model, GP, ET, RF or GBRT. Default: GP, and ET where GP would take too long."""

import math
import warnings

METHODS = ("GP", "ET", "RF", "GBRT")
INITIAL_POINTS = 10
GP_POINTS_MAX = 300
"""Fitting a Gaussian process takes time with the third power of the points."""
GP_ASKS_MAX = 20
"""Each point of a run needs a fit of its own."""
MODEL_POINTS_MAX = 2_000
"""Of a longer search, the best half of so many points is told, and the others at equal distances in the order of their losses."""


def suggestions(search, count, seed, settings):
    warnings.simplefilter("ignore")
    import skopt

    from .libraries import wrong_method

    points = len(search.told) + len(search.pending) + count
    affordable = points <= GP_POINTS_MAX and count <= GP_ASKS_MAX
    method = (settings.method or ("GP" if affordable else "ET")).upper()
    if method not in METHODS:
        raise wrong_method("skopt", settings.method, METHODS)
    optimizer = skopt.Optimizer(
        [_dimension(skopt, axis) for axis in search.space.axes],
        base_estimator=method,
        n_initial_points=INITIAL_POINTS,
        random_state=seed,
    )
    told = thinned(search.told)
    losses = compress([loss for _, loss in told])
    # The mean of the losses, for what is under way.
    lie = sum(losses) / len(losses) if losses else 0.0
    if told:
        xs = [coordinates for coordinates, _ in told] + search.pending
        optimizer.tell(xs, losses + [lie] * len(search.pending))
    while True:
        asked = optimizer.ask()
        yield [value.item() if hasattr(value, "item") else value for value in asked]
        if told:
            optimizer.tell(asked, lie)


def thinned(told):
    if len(told) <= MODEL_POINTS_MAX:
        return told
    ordered = sorted(told, key=lambda each: each[1])
    half = MODEL_POINTS_MAX // 2
    rest = ordered[half:]
    return ordered[:half] + [rest[index * len(rest) // half] for index in range(half)]


def compress(losses):
    """Keeps the order and the differences near the best, so that the very large losses of failed points do not hide them."""
    if not losses:
        return []
    ordered = sorted(losses)
    best = ordered[0]
    quarters = [ordered[len(ordered) * share // 4] - best for share in (1, 2, 3)]
    scale = next((quarter for quarter in quarters if quarter > 0), 1.0)
    return [math.log1p((loss - best) / scale) for loss in losses]


def _dimension(skopt, axis):
    if axis.kind == "choice":
        return skopt.space.Categorical(list(range(axis.count)), prior=axis.weights)
    if axis.kind == "integer":
        return skopt.space.Integer(0, axis.count - 1)
    return skopt.space.Real(0.0, 1.0)
