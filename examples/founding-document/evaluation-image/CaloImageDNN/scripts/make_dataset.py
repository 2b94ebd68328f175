"""Makes a small data set: images of 100 showers in a calorimeter of 8 x 8 cells, with the energy of each."""

import json
import math
import os
import random
import sys

SIZE = 8


def shower(source):
    energy = source.uniform(0.2, 1.0)
    x, y = source.uniform(2, 5), source.uniform(2, 5)
    width = 0.8 + 0.5 * energy
    image = [
        [
            energy * math.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * width**2)) + source.gauss(0, 0.02)
            for column in range(SIZE)
        ]
        for row in range(SIZE)
    ]
    return {"image": image, "energy": energy, "is_zee": source.random() < 0.9, "is_bad": source.random() < 0.05}


source = random.Random(2020)
events = [shower(source) for _ in range(100)]
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
with open(sys.argv[1], "w") as file:
    json.dump(events, file)
