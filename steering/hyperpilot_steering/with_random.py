"""Independent draws."""

import random


def suggestions(search, _count, seed, _settings):
    source = random.Random(seed)
    while True:
        yield search.space.draw(source)
