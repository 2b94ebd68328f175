"""One search: its space, what has been evaluated, what is being evaluated, and what it proposes."""

import heapq
import itertools
import random
import sys

from .errors import WrongInput
from .files import read_loss
from .space import parse_space

TRIES_PER_POINT = 20
"""Proposals that a library may repeat before a point is drawn at random instead."""
DRAWS_PER_POINT = 1_000
LISTED_MAX = 1_000_000
"""Spaces up to this size are listed when drawing finds nothing new."""


class Search:
    """A search space with its points. Losses are such that less is better."""

    def __init__(self, space):
        self.space = space
        self.told = []
        """(coordinates, loss) of every evaluated point of the space."""
        self.pending = []
        """Coordinates of the points that are being evaluated."""
        self.foreign = []
        """Places of points that are none of the space; libraries are not told of them."""
        self.known = set()
        self.generated_count = 0
        self.pending_count = 0

    def add(self, point, loss, place):
        if not isinstance(point, dict):
            raise WrongInput(f"{place} is not [{{...}}, loss]: its point is no object")
        self.known.add(self.space.key(point))
        self.generated_count += 1
        self.pending_count += loss is None
        coordinates = self.space.coordinates(point)
        if coordinates is None:
            self.foreign.append(place)
        elif loss is None:
            self.pending.append(coordinates)
        else:
            self.told.append((coordinates, loss))

    def propose(self, library, count, seed, settings):
        """At most `count` new points; fewer when there are no more."""
        source = random.Random(seed)
        suggestions = itertools.repeat([])
        if self.space.axes:
            suggestions = library.suggestions(self, count, source.getrandbits(32), settings)
        points = []
        while len(points) < count:
            point = self._next(suggestions, source)
            if point is None:
                note("there is no further combination")
                break
            self.known.add(self.space.key(point))
            points.append(point)
        return points

    def _next(self, suggestions, source):
        for _ in range(TRIES_PER_POINT):
            coordinates = next(suggestions, None)
            if coordinates is None:
                return None
            point = self.space.point(coordinates)
            if self.space.key(point) not in self.known:
                return point
            if len(self.known) >= self.space.combinations:
                break
        return self._draw_new(source)

    def _draw_new(self, source):
        for _ in range(DRAWS_PER_POINT):
            point = self.space.point(self.space.draw(source))
            if self.space.key(point) not in self.known:
                return point
        if self.space.combinations > LISTED_MAX:
            return None
        left = [point for point in all_points(self.space) if self.space.key(point) not in self.known]
        return source.choice(left) if left else None


def note(text):
    print(f"note: {text}", file=sys.stderr)


def all_points(space):
    """Every point of a finite space; the first parameter varies slowest."""
    points = [{}]
    for name, parameter in space.parameters.items():
        points = [{**point, name: value} for point in points for value in parameter.values()]
    return points


def read_searches(entries, opt_space, source, settings):
    """Searches by model id, in the order of opt_space; a search without segments has the id None."""
    searches = _empty_searches(opt_space, source)
    for index, entry in enumerate(entries):
        place = f"point {index} of the input file"
        if not isinstance(entry, list) or len(entry) != 2:
            raise WrongInput(f"{place} is not [{{...}}, loss]")
        point, result = entry
        model = None
        if None not in searches:
            is_pair = isinstance(point, list) and len(point) == 2 and isinstance(point[0], (int, str))
            if not is_pair or point[0] not in searches:
                raise WrongInput(f"{place} is not [[model_id, {{...}}], loss] with a known model_id")
            model, point = point
        loss = read_loss(result, settings.metric, place)
        if loss is not None and settings.mode == "max":
            loss = -loss
        searches[model].add(point, loss, place)
    foreign = [place for search in searches.values() for place in search.foreign]
    if foreign:
        note(f"{foreign[0]} is no point of the search space; {len(foreign)} such points are not told")
    return searches


def _empty_searches(opt_space, source):
    if not isinstance(opt_space, list):
        return {None: Search(parse_space(opt_space, source))}
    searches = {}
    for index, segment in enumerate(opt_space):
        model = segment.get("model_id") if isinstance(segment, dict) else None
        if not isinstance(model, (int, str)) or "search_space" not in segment:
            raise WrongInput(f'{source}: segment {index} needs "model_id" and "search_space"')
        searches[model] = Search(parse_space(segment["search_space"], f"{source}, model {model}"))
    return searches


def shares(searches, n_point, max_point):
    """How many points each search may propose: n_point less its pending ones, all together what is left of max_point."""
    counts = dict.fromkeys(searches, 0)
    open_counts = {model: n_point - search.pending_count for model, search in searches.items()}
    left = sum(max(0, count) for count in open_counts.values())
    if max_point is not None:
        left = min(left, max_point - sum(search.generated_count for search in searches.values()))
    # The one with the fewest points so far is next, so that segments advance side by side.
    queue = [
        (search.generated_count, order, model)
        for order, (model, search) in enumerate(searches.items())
        if open_counts[model] > 0
    ]
    heapq.heapify(queue)
    for _ in range(left):
        generated, order, model = heapq.heappop(queue)
        counts[model] += 1
        if counts[model] < open_counts[model]:
            heapq.heappush(queue, (generated + 1, order, model))
    return counts
