"""Every combination of some levels, in a fixed order. Categories and small ranges are taken whole; of other ranges as many
levels as fit into the search, at least two.
"""

import math

WHOLE_MAX = 20
"""Ranges up to this many values are taken whole."""
LEVELS_DEFAULT = 10
"""Of each other range, where the size of the search is not known."""


def suggestions(search, _count, _seed, settings):
    axes = search.space.axes
    levels = _levels(axes, settings.max_point)
    total = math.prod(levels)
    for index in range(total):
        rest, coordinates = index, []
        # The first parameter varies slowest.
        for axis, count in zip(reversed(axes), reversed(levels)):
            rest, level = divmod(rest, count)
            coordinates.append(axis.coordinate(axis.level(level, count)))
        coordinates.reverse()
        if search.space.key(search.space.point(coordinates)) not in search.known:
            yield coordinates


def _levels(axes, max_point):
    whole = [axis.count if axis.kind == "choice" or axis.count <= WHOLE_MAX else None for axis in axes]
    ranges = whole.count(None)
    if ranges == 0:
        return whole
    fixed = math.prod(count for count in whole if count is not None)
    each = LEVELS_DEFAULT
    if max_point is not None:
        each = max(2, math.floor((max_point / fixed) ** (1 / ranges) + 1e-9))
    return [min(each, axis.count) if count is None else count for axis, count in zip(axes, whole)]
