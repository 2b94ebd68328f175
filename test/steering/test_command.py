import json
import unittest

from support import EVERY_METHOD, generate, uniform

X = {"x": uniform()}


def points(*pairs):
    return [[{"x": x}, loss] for x, loss in pairs]


class CommandTest(unittest.TestCase):
    """What does not depend on the library; `random` is the quickest."""

    def ask(self, *words, **more):
        return generate("-l", "random", *words, **more)

    def test_it_proposes_what_is_not_under_way_yet(self):
        some = points((0.1, 1.0), (0.2, None), (0.3, None))
        self.assertEqual(len(self.ask("-n", "5", points=some, space=X).points), 3)
        self.assertEqual(self.ask("-n", "2", points=some, space=X).points, [])
        self.assertEqual(self.ask("-n", "0", space=X).points, [])

    def test_it_never_goes_beyond_the_whole_search(self):
        some = points((0.1, 1.0), (0.2, 2.0), (0.3, None))
        self.assertEqual(len(self.ask("-n", "9", "-m", "5", points=some, space=X).points), 2)
        self.assertEqual(self.ask("-n", "9", "-m", "2", points=some, space=X).points, [])

    def test_the_same_seed_gives_the_same_points(self):
        def ask(seed):
            return self.ask("-n", "4", space=EVERY_METHOD, seed=seed).points_text

        self.assertEqual(ask(7), ask(7))
        self.assertNotEqual(ask(7), ask(8))
        self.assertNotEqual(ask(None), ask(None))

    def test_a_space_in_a_file_comes_before_that_of_the_input(self):
        other = {"y": uniform()}
        answer = self.ask("-s", "space.json", space=X, files={"space.json": json.dumps(other)})
        self.assertEqual(list(answer.points[0]), ["y"])

    def test_losses_are_found_by_the_name_of_the_metric(self):
        some = [[{"x": 0.5}, {"auc": 1.0, "loss": 2.0}]]
        self.assertEqual(len(self.ask("-e", "auc", points=some, space=X).points), 1)
        self.assertIn('without "mse"', self.ask("-e", "mse", points=some, space=X).stderr)

    def test_a_used_up_space_is_the_end(self):
        space = {"a": {"method": "categorical", "dimension": {"categories": [True, False]}}, "b": EVERY_METHOD["depth"]}
        answer = self.ask("-n", "9", space=space)
        self.assertEqual(len({json.dumps(point) for point in answer.points}), 4)
        self.assertEqual(len(answer.points), 4)
        told = [[point, 0.5] for point in answer.points]
        answer = self.ask("-n", "9", points=told, space=space)
        self.assertEqual(answer.points, [])
        self.assertIn("no further combination", answer.stderr)

    def test_a_space_with_one_point_gives_it_once(self):
        space = {"c": {"method": "fixed", "dimension": {"value": 1.0}}}
        self.assertEqual(self.ask("-n", "3", space=space).points_text, '[{"c": 1.0}]\n')

    def test_a_point_of_another_space_is_no_obstacle(self):
        some = [[{"x": 0.5}, 1.0], [{"y": 0.5}, 1.0], [{"x": "a"}, 1.0]]
        answer = self.ask("-n", "2", "-m", "5", points=some, space=X)
        self.assertEqual(len(answer.points), 2)
        self.assertIn("point 1 of the input file is no point of the search space; 2 such points", answer.stderr)

    def test_grid_goes_through_all_levels_in_order(self):
        space = {"flag": EVERY_METHOD["flag"], "n": {"method": "uniformint", "dimension": {"low": 1, "high": 3}}}

        def ask(some):
            return generate("-l", "grid", "-n", "4", points=some, space=space).points

        first = ask([])
        self.assertEqual(
            [[point["flag"], point["n"]] for point in first], [[True, 1], [True, 2], [True, 3], [False, 1]]
        )
        second = ask([[point, 1.0] for point in first])
        self.assertEqual([[point["flag"], point["n"]] for point in second], [[False, 2], [False, 3]])
        self.assertEqual(ask([[point, 1.0] for point in first + second]), [])

    def test_grid_fits_the_levels_of_ranges_into_the_search(self):
        space = {"x": uniform(), "lr": {"method": "loguniform", "dimension": {"low": 0.001, "high": 0.1}}}
        found = generate("-l", "grid", "-n", "20", "-m", "9", space=space).points
        self.assertEqual(len(found), 9)
        self.assertEqual(sorted({point["x"] for point in found}), [0.0, 0.5, 1.0])
        self.assertEqual(sorted({point["lr"] for point in found}), [0.001, 0.01, 0.1])

    def test_segments_advance_side_by_side(self):
        segments = [{"model_id": 0, "search_space": X}, {"model_id": 1, "search_space": {"y": uniform(5, 6)}}]
        some = [[[0, {"x": 0.1}], 1.0], [[0, {"x": 0.2}], None]]
        found = self.ask("-n", "2", "-m", "8", points=some, space=segments).points
        self.assertEqual([model for model, _ in found], [0, 1, 1])
        self.assertTrue(all(5 <= point["y"] <= 6 for model, point in found if model == 1))
        # What is left of the search goes to the segment that has fewer points.
        self.assertEqual(
            [model for model, _ in self.ask("-n", "2", "-m", "4", points=some, space=segments).points], [1, 1]
        )
        answer = self.ask(points=[[[7, {"x": 0.1}], 1.0]], space=segments)
        self.assertEqual(answer.exit_code, 1)
        self.assertIn("with a known model_id", answer.stderr)

    def test_wrong_input_ends_with_1_and_says_why(self):
        for text, words in [
            ("no json", "in.json is not JSON"),
            ("[]", "in.json must be {"),
            ('{"points": 1, "opt_space": {}}', "in.json must be {"),
            ('{"points": [[{"x": 1}]], "opt_space": {"x": 1}}', '"x" needs a "method"'),
            ('{"points": [[{"x": NaN}, 1]]}', "NaN is no number of JSON"),
            ('{"points": []}', "there is no search space: give --space FILE"),
            (json.dumps({"points": [[{"x": 1}]], "opt_space": X}), "point 0 of the input file is not [{...}, loss]"),
            (json.dumps({"points": [["x", 1]], "opt_space": X}), "its point is no object"),
            (json.dumps({"points": [[{"x": 1}, "bad"]], "opt_space": X}), 'has the loss "bad", which is no number'),
            (json.dumps({"points": [[{"x": 1}, True]], "opt_space": X}), "has the loss true"),
            ("[" * 100_000, "is not JSON"),
        ]:
            answer = self.ask(text=text)
            self.assertEqual((answer.exit_code, answer.points_text), (1, None), answer.stderr)
            self.assertIn(words, answer.stderr)
            self.assertTrue(answer.stderr.startswith("error: "), answer.stderr)
        self.assertIn("HYPERPILOT_SEED is 'x'", self.ask(space=X, seed="x").stderr)
        self.assertIn("missing.json cannot be read", self.ask("-s", "missing.json").stderr)
        self.assertIn("cannot be written", self.ask("-o", "no/such/out.json", space=X).stderr)

    def test_a_wrong_command_line_ends_with_2(self):
        for words in (["-n", "-1"], ["-n", "x"], ["-l", "scikit"], ["-d", "lowest"]):
            self.assertEqual(self.ask(*words, space=X).exit_code, 2)

    def test_files_of_the_search_hide_no_module(self):
        files = {f"{name}.py": "raise SystemExit(9)" for name in ("json", "random", "argparse", "numpy", "optuna")}
        for library in ("random", "optuna"):
            answer = generate("-l", library, "-n", "2", space=X, files=files, is_process=True)
            self.assertEqual(len(answer.points), 2)


if __name__ == "__main__":
    unittest.main()
