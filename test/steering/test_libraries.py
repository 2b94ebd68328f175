import json
import math
import random
import types
import unittest

from hyperpilot_steering.libraries import load_library
from hyperpilot_steering.search import Search
from hyperpilot_steering.space import parse_space
from hyperpilot_steering.with_skopt import MODEL_POINTS_MAX, compress, thinned
from support import EVERY_METHOD, LIBRARIES, generate, uniform

MIXED = {
    "lr": {"method": "loguniform", "dimension": {"low": 1e-5, "high": 1e-1}},
    "x": uniform(),
    "n": {"method": "uniformint", "dimension": {"low": 0, "high": 20}},
    "flag": EVERY_METHOD["flag"],
}


def mixed(point):
    """Least, 0, at lr 1e-3, x 0.8, n 13, flag true."""
    distance = (math.log10(point["lr"]) + 3) ** 2 / 4 + 4 * (point["x"] - 0.8) ** 2 + abs(point["n"] - 13) / 10
    return distance + (0 if point["flag"] else 0.5)


def drawn(space, count, seed=5):
    parsed = parse_space(space, "space")
    source = random.Random(seed)
    return [parsed.point(parsed.draw(source)) for _ in range(count)]


class LibrariesTest(unittest.TestCase):
    def test_every_method_gives_valid_json_of_the_right_type(self):
        told = [[point, float(index)] for index, point in enumerate(drawn(EVERY_METHOD, 14))]
        for library in LIBRARIES:
            with self.subTest(library=library):
                found = generate("-l", library, "-n", "3", "-m", "40", points=told, space=EVERY_METHOD).points
                self.assertEqual(len(found), 3)
                for point in found:
                    self.assertEqual(list(point), list(EVERY_METHOD))
                    self.assertIsInstance(point["flag"], bool)
                    self.assertIn(point["depth"], (1, 2))
                    self.assertIn(point["name"], ("sgd", None, [1, 2]))
                    for name in ("depth", "batch", "units", "decay", "steps", "count"):
                        self.assertIs(type(point[name]), int, name)
                    for name in ("momentum", "dropout", "lr", "shift", "scale"):
                        self.assertIs(type(point[name]), float, name)
                        self.assertTrue(math.isfinite(point[name]), name)
                    self.assertTrue(10 <= point["batch"] <= 30 and 1e-5 <= point["lr"] <= 0.1)
                    self.assertEqual(point["const"], {"kept": [1, 2.0]})

    def test_the_same_seed_gives_the_same_points(self):
        told = [[point, mixed(point)] for point in drawn(MIXED, 12)]
        for library in LIBRARIES:
            with self.subTest(library=library):
                first, again, other = (
                    generate("-l", library, "-n", "2", points=told, space=MIXED, seed=seed).points
                    for seed in (11, 11, 12)
                )
                self.assertEqual(again, first)
                self.assertNotEqual(other, first)

    def test_points_under_way_are_not_proposed_again_and_change_what_is(self):
        told = [[point, mixed(point)] for point in drawn(MIXED, 12)]
        for library in LIBRARIES:
            with self.subTest(library=library):
                words = ("-l", library, "-n", "4")
                first = generate(*words, points=told, space=MIXED, seed=3).points
                self.assertEqual(len({json.dumps(point) for point in first}), 4)
                waiting = [[point, None] for point in first[:2]]
                second = generate(*words, points=told + waiting, space=MIXED, seed=3).points
                self.assertEqual(len(second), 2)
                for point in second:
                    self.assertNotIn(point, first[:2])

    def test_a_search_that_only_waits_still_gets_points(self):
        waiting = [[point, None] for point in drawn(MIXED, 3)]
        for library in LIBRARIES:
            with self.subTest(library=library):
                self.assertEqual(len(generate("-l", library, "-n", "5", points=waiting, space=MIXED).points), 2)

    def test_a_small_space_is_used_up_without_a_repetition(self):
        space = {"flag": EVERY_METHOD["flag"], "n": {"method": "uniformint", "dimension": {"low": 1, "high": 4}}}
        for library in LIBRARIES:
            with self.subTest(library=library):
                found = generate("-l", library, "-n", "20", space=space).points
                self.assertEqual(len({json.dumps(point) for point in found}), 8)
                some = [[point, float(point["n"])] for point in found[:6]]
                rest = generate("-l", library, "-n", "20", points=some, space=space).points
                self.assertCountEqual(rest, found[6:])

    def test_segments_are_searched_each_by_itself(self):
        segments = [{"model_id": model, "search_space": {"x": uniform(model, model + 1)}} for model in (0, 1)]
        told = [[[model, {"x": model + share}], share] for model in (0, 1) for share in (0.1, 0.5, 0.9)]
        for library in LIBRARIES:
            with self.subTest(library=library):
                found = generate("-l", library, "-n", "2", "-m", "20", points=told, space=segments).points
                self.assertEqual([model for model, _ in found], [0, 0, 1, 1])
                for model, point in found:
                    self.assertTrue(model <= point["x"] <= model + 1)

    def test_very_large_losses_of_failed_points_are_borne(self):
        told = [[point, 1e30 if index % 3 == 0 else mixed(point)] for index, point in enumerate(drawn(MIXED, 15))]
        for library in LIBRARIES:
            with self.subTest(library=library):
                self.assertEqual(len(generate("-l", library, "-n", "2", points=told, space=MIXED).points), 2)

    def test_losses_that_are_all_equal_are_borne(self):
        told = [[point, 0] for point in drawn(MIXED, 12)]
        for library in LIBRARIES:
            with self.subTest(library=library):
                self.assertEqual(len(generate("-l", library, "-n", "2", points=told, space=MIXED).points), 2)

    def test_a_method_of_the_library_can_be_chosen(self):
        for library, method in [
            ("nevergrad", "NGOpt"),
            ("nevergrad", "OnePlusOne"),
            ("optuna", "random"),
            ("skopt", "et"),
        ]:
            told = [[point, mixed(point)] for point in drawn(MIXED, 11)]
            answer = generate("-l", library, "--method", method, "-n", "1", "-m", "30", points=told, space=MIXED)
            self.assertEqual(len(answer.points), 1)
        for library in LIBRARIES:
            with self.subTest(library=library):
                answer = generate("-l", library, "--method", "tpee", space=MIXED)
                self.assertEqual(answer.exit_code, 1)
                self.assertIn("has no method 'tpee'", answer.stderr)

    def test_a_library_that_the_image_lacks_is_named(self):
        answer = generate("-l", "hyperopt", space=MIXED)
        self.assertEqual(answer.exit_code, 1)
        self.assertIn("this image has no library hyperopt; it has nevergrad, skopt, optuna", answer.stderr)

    def best_of(self, library, seed):
        """A search of 27 points, 3 at a time, each run without memory; one point is always under way."""
        settings = types.SimpleNamespace(method=None, max_point=27)
        points = []
        while len(points) < 27:
            search = Search(parse_space(MIXED, "space"))
            for index, (point, loss) in enumerate(points):
                search.add(point, loss, f"point {index}")
            new = search.propose(load_library(library), 3, seed * 1_000 + len(points), settings)
            points += [[point, None] for point in new]
            for pair in points[:-1]:
                pair[1] = mixed(pair[0])
        return min(loss for _, loss in points if loss is not None)

    def test_what_was_told_leads_to_better_points_than_chance(self):
        chance = sum(self.best_of("random", seed) for seed in range(40)) / 40
        for library in LIBRARIES:
            with self.subTest(library=library):
                best = [self.best_of(library, seed) for seed in range(3)]
                self.assertLess(sum(best) / len(best), 0.8 * chance)

    def test_more_can_be_better(self):
        told = [[{"x": index / 40}, index / 40] for index in range(41)]
        for library in LIBRARIES:
            with self.subTest(library=library):
                means = {}
                for mode in ("min", "max"):
                    words = ("-l", library, "-n", "8", "-d", mode)
                    found = generate(*words, points=told, space={"x": uniform()}, seed=2).points
                    means[mode] = sum(point["x"] for point in found) / len(found)
                self.assertGreater(means["max"], means["min"] + 0.2)

    def test_skopt_is_told_losses_on_a_scale_that_bears_outliers(self):
        scaled = compress([3.0, 1.0, 2.0, 1e30])
        self.assertEqual(sorted(range(4), key=scaled.__getitem__), [1, 2, 0, 3])
        self.assertLess(max(scaled), 100)
        self.assertEqual(compress([2.0, 2.0]), [0.0, 0.0])

    def test_skopt_is_told_the_best_and_some_of_a_long_search(self):
        told = [([index], float(index)) for index in range(10_000)]
        kept = thinned(told)
        self.assertEqual(len(kept), MODEL_POINTS_MAX)
        self.assertEqual(kept[: MODEL_POINTS_MAX // 2], told[: MODEL_POINTS_MAX // 2])
        self.assertGreater(kept[-1][1], 9_900)


if __name__ == "__main__":
    unittest.main()
