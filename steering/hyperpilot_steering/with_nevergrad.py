"""nevergrad: --method is the name of one of its optimizers.

The default is OnePlusOne. It goes on from the best point so far, so it can be rebuilt from a list of points and losses: with
14 seeds, 4 points at a time and 2 always under way, it found after 60 points on the mean 0.54 on Branin (chance 0.91), -2.9 on
Hartmann-6 (chance -1.8), and half of chance's loss on a mixed space. Evolution strategies such as TBPSA, CMA and NGOpt expect
the history of their own asks, in its order.
"""

import warnings

METHOD_DEFAULT = "OnePlusOne"


def suggestions(search, count, seed, settings):
    warnings.simplefilter("ignore")
    import nevergrad
    import numpy

    from .libraries import wrong_method
    from .search import note

    method = settings.method or METHOD_DEFAULT
    registry = nevergrad.optimizers.registry
    if method not in registry:
        near = [name for name in registry if name.lower().startswith(method.lower()[:3])]
        raise wrong_method("nevergrad", method, near or ["OnePlusOne", "TwoPointsDE", "TBPSA", "PSO", "NGOpt"])
    parameters = nevergrad.p.Tuple(*(_parameter(nevergrad, axis) for axis in search.space.axes))
    parameters.random_state = numpy.random.RandomState(seed)
    budget = settings.max_point or search.generated_count + count
    optimizer = registry[method](parameters, budget=max(1, budget), num_workers=max(1, count))
    worst = max((loss for _, loss in search.told), default=0.0)
    # The worst so far: what is under way is no reason to go there again.
    lies = [(coordinates, worst) for coordinates in search.pending]
    refused = False
    for coordinates, loss in [*search.told, *(lies if search.told else [])]:
        try:
            optimizer.tell(parameters.spawn_child(new_value=tuple(coordinates)), loss)
        except nevergrad.errors.TellNotAskedNotSupportedError:
            refused = True
    if refused:
        note(f"{method} cannot be told points that it has not asked, so it begins anew; {METHOD_DEFAULT} can")
    while True:
        yield list(optimizer.ask().value)


def _parameter(nevergrad, axis):
    if axis.kind == "choice":
        return nevergrad.p.Choice(range(axis.count))
    if axis.kind == "integer":
        return nevergrad.p.Scalar(lower=0, upper=axis.count - 1).set_integer_casting()
    return nevergrad.p.Scalar(lower=0, upper=1)
