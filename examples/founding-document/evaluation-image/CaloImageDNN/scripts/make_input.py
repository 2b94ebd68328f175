"""From the point of a search to the settings of the network: the depths of the blocks become one list."""

import json
import sys

with open(sys.argv[1]) as file:
    point = json.load(file)
depths = [point.pop("cnn_block_depths_1"), point.pop("cnn_block_depths_2")]
with open(sys.argv[2], "w") as file:
    json.dump({**point, "cnn_block_depths": depths}, file)
