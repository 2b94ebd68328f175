"""optuna: --method is tpe (default) or random. Points under way are trials that run: TPE lies for them itself.

The other samplers keep what they know beside the trials (CMA-ES, NSGA-II, QMC), so they would begin anew with each run.
"""

import warnings

METHODS = ("tpe", "random")


def suggestions(search, _count, seed, settings):
    warnings.simplefilter("ignore")
    import optuna
    from optuna.trial import TrialState, create_trial

    from .libraries import wrong_method

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    method = settings.method or METHODS[0]
    if method not in METHODS:
        raise wrong_method("optuna", method, METHODS)
    names = [f"{index}" for index in range(len(search.space.axes))]
    distributions = {name: _distribution(optuna, axis) for name, axis in zip(names, search.space.axes)}
    study = optuna.create_study(sampler=_sampler(optuna, method, seed))

    def trial(coordinates, **more):
        return create_trial(params=dict(zip(names, coordinates)), distributions=distributions, **more)

    study.add_trials(
        [trial(coordinates, value=loss) for coordinates, loss in search.told]
        + [trial(coordinates, state=TrialState.RUNNING) for coordinates in search.pending]
    )
    while True:
        asked = study.ask(distributions)
        yield [asked.params[name] for name in names]


def _sampler(optuna, method, seed):
    if method == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _distribution(optuna, axis):
    distributions = optuna.distributions
    if axis.kind == "choice":
        return distributions.CategoricalDistribution(range(axis.count))
    if axis.kind == "integer":
        return distributions.IntDistribution(0, axis.count - 1)
    return distributions.FloatDistribution(0.0, 1.0)
