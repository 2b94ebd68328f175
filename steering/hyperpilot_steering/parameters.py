"""The kinds of parameters: each turns coordinates into values and back.

A coordinate is the index of a category, the index of a whole number, or a place in [0, 1] on the scale of a real number.
So every method of the format looks the same to every library.
"""

import json
import math
from statistics import NormalDist

SIGNIFICANT_DIGITS = 6
"""Of proposed real numbers: fine enough to search, short enough to read."""
STEP_DIGITS = 12
"""Multiples of a step are written without the noise of binary fractions."""
TAIL = 1e-6
"""Share of a normal distribution that is left out at either end."""
INDEX_COUNT_MAX = 1_000_000
"""Stepped ranges with more values are searched as real numbers."""


class Fixed:
    """One value, nothing to search."""

    count = 1

    def __init__(self, value):
        self.value_text = json.dumps(value)

    def value(self, _coordinate):
        return json.loads(self.value_text)

    def values(self):
        return [self.value(0)]


class Choice:
    """One of some values without an order. A value that is listed twice is drawn twice as often."""

    kind = "choice"

    def __init__(self, categories):
        texts = [json.dumps(category) for category in categories]
        self.texts = list(dict.fromkeys(texts))
        self.count = len(self.texts)
        self.weights = [texts.count(text) / len(texts) for text in self.texts]

    def value(self, index):
        return json.loads(self.texts[int(index)])

    def values(self):
        return [self.value(index) for index in range(self.count)]

    def coordinate(self, value):
        text = json.dumps(value)
        if text in self.texts:
            return self.texts.index(text)
        # 1 and 1.0 are the same number, but true is none.
        for index in range(self.count):
            known = self.value(index)
            if known == value and isinstance(known, bool) == isinstance(value, bool):
                return index
        return None

    def draw(self, random):
        return random.choices(range(self.count), self.weights)[0]

    def level(self, index, _levels):
        return self.value(index)


class Number:
    """What ranges and normal distributions share: a scale, linear or logarithmic, perhaps with a step."""

    def __init__(self, step, is_logarithmic, is_whole):
        self.step = step
        self.is_logarithmic = is_logarithmic
        self.is_whole = is_whole

    def to_scale(self, value):
        if not self.is_logarithmic:
            return float(value)
        return math.log(value) if value > 0 else -math.inf

    def from_scale(self, place):
        return math.exp(place) if self.is_logarithmic else place

    def stepped(self, multiple):
        value = float(f"{multiple * self.step:.{STEP_DIGITS}g}")
        return int(value) if self.is_whole else value

    def draw(self, random):
        return random.randrange(self.count) if self.kind == "integer" else random.random()

    @staticmethod
    def is_number(value):
        is_kind = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_kind and math.isfinite(value)


class Range(Number):
    """A number between two bounds, both included."""

    def __init__(self, low, high, step, is_logarithmic, is_whole):
        super().__init__(step, is_logarithmic, is_whole)
        self.low = low
        self.high = high
        if step is None:
            self.count = 1 if low == high else math.inf
            self.ends = (self.to_scale(low), self.to_scale(high))
        else:
            self.first, self.last = math.ceil(low / step), math.floor(high / step)
            self.count = self.last - self.first + 1
            # Half a step on both sides, so that the ends are as likely as the others.
            margin = min(step / 2, self.first * step / 2) if is_logarithmic else step / 2
            bottom, top = self.first * step - margin, self.last * step + step / 2
            self.ends = (self.to_scale(bottom), self.to_scale(top))
        is_indexed = not is_logarithmic and self.count <= INDEX_COUNT_MAX
        self.kind = "integer" if is_indexed else "real"

    def value(self, coordinate):
        if self.kind == "integer" and self.step is not None:
            return self.stepped(self.first + int(coordinate))
        low, high = self.ends
        value = self.from_scale(low + float(coordinate) * (high - low))
        if self.step is not None:
            return self.stepped(min(self.last, max(self.first, round(value / self.step))))
        return min(self.high, max(self.low, float(f"{value:.{SIGNIFICANT_DIGITS}g}")))

    def values(self):
        return [self.level(index, self.count) for index in range(self.count)]

    def coordinate(self, value):
        if not self.is_number(value):
            return None
        if self.kind == "integer" and self.step is not None:
            return min(self.count - 1, max(0, round(value / self.step) - self.first))
        low, high = self.ends
        if low == high:
            return 0.5
        return min(1.0, max(0.0, (self.to_scale(value) - low) / (high - low)))

    def level(self, index, levels):
        if self.step is not None and levels == self.count:
            return self.stepped(self.first + index)
        low, high = self.to_scale(self.low), self.to_scale(self.high)
        value = self.from_scale(low + (0.5 if levels == 1 else index / (levels - 1)) * (high - low))
        if self.step is not None:
            return self.stepped(min(self.last, max(self.first, round(value / self.step))))
        return min(self.high, max(self.low, float(f"{value:.{SIGNIFICANT_DIGITS}g}")))


class Normal(Number):
    """A normally distributed number, or one whose logarithm is; its coordinate is the share of values below it."""

    kind = "real"
    count = math.inf

    def __init__(self, mu, sigma, step, is_logarithmic, is_whole):
        super().__init__(step, is_logarithmic, is_whole)
        self.distribution = NormalDist(mu, sigma)

    def value(self, coordinate):
        share = min(1 - TAIL, max(TAIL, float(coordinate)))
        value = self.from_scale(self.distribution.inv_cdf(share))
        if self.step is not None:
            return self.stepped(round(value / self.step))
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")

    def coordinate(self, value):
        return self.distribution.cdf(self.to_scale(value)) if self.is_number(value) else None

    def level(self, index, levels):
        return self.value((index + 0.5) / levels)
