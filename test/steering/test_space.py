import json
import math
import random
import unittest

from hyperpilot_steering.errors import WrongInput
from hyperpilot_steering.space import parse_space
from support import EVERY_METHOD, uniform


class SpaceTest(unittest.TestCase):
    def test_values_come_back_from_their_coordinates(self):
        space = parse_space(EVERY_METHOD, "space")
        source = random.Random(3)
        for _ in range(300):
            point = space.point(space.draw(source))
            again = space.point(space.coordinates(json.loads(json.dumps(point))))
            for name, value in point.items():
                if isinstance(value, float):
                    self.assertTrue(math.isclose(again[name], value, rel_tol=1e-5, abs_tol=1e-9), name)
                else:
                    self.assertEqual(again[name], value, name)

    def test_bounds_are_kept_and_reached(self):
        space = parse_space(EVERY_METHOD, "space")
        for name, lowest, highest in [
            ("batch", 10, 30),
            ("momentum", 0.0, 1.0),
            ("dropout", 0.0, 0.5),
            ("units", 10, 100),
            ("lr", 1e-5, 0.1),
            ("decay", 5, 1000),
        ]:
            axis = space.parameters[name]
            ends = (0, axis.count - 1) if axis.kind == "integer" else (0.0, 1.0)
            self.assertEqual([axis.value(end) for end in ends], [lowest, highest], name)

    def test_values_have_the_type_of_their_method(self):
        space = parse_space(EVERY_METHOD, "space")
        middle = [0 if axis.kind != "real" else 0.5 for axis in space.axes]
        types = {name: type(value).__name__ for name, value in space.point(middle).items()}
        self.assertEqual(
            types,
            {
                "flag": "bool",
                "depth": "int",
                "name": "str",
                "batch": "int",
                "momentum": "float",
                "dropout": "float",
                "units": "int",
                "lr": "float",
                "decay": "int",
                "shift": "float",
                "steps": "int",
                "scale": "float",
                "count": "int",
                "const": "dict",
            },
        )

    def test_a_category_is_found_by_what_it_is(self):
        choice = parse_space({"x": {"method": "categorical", "dimension": {"categories": [True, 1, "1", 2.0]}}}, "s")
        axis = choice.parameters["x"]
        self.assertEqual([axis.coordinate(value) for value in (True, 1, "1", 2, False)], [0, 1, 2, 3, None])

    def test_repeated_categories_are_one_and_weigh_more(self):
        axis = parse_space(EVERY_METHOD, "s").parameters["depth"]
        self.assertEqual((axis.count, [round(weight, 3) for weight in axis.weights]), (2, [0.667, 0.333]))

    def test_finite_spaces_are_counted(self):
        names = ("flag", "depth", "batch", "const")
        self.assertEqual(parse_space({name: EVERY_METHOD[name] for name in names}, "s").combinations, 84)
        self.assertEqual(parse_space(EVERY_METHOD, "s").combinations, math.inf)

    def test_what_is_wrong_is_named(self):
        for entry, words in [
            ({"method": "unifrom", "dimension": {}}, '"x" needs a "method", one of categorical, uniform'),
            ({"method": "uniform"}, 'needs a "dimension"'),
            ({"method": "uniform", "dimension": {"low": 0}}, '"high" must be a number'),
            ({"method": "uniform", "dimension": {"low": True, "high": 1}}, '"low" must be a number'),
            (uniform(2, 1), '"low" 2 is greater than "high" 1'),
            ({"method": "uniformint", "dimension": {"low": 0.5, "high": 2}}, '"low" and "high" must be integers'),
            ({"method": "loguniform", "dimension": {"low": 0, "high": 1}}, "greater than 0 on a logarithmic scale"),
            ({"method": "quniform", "dimension": {"low": 1, "high": 2, "q": 0}}, '"q" 0 must be greater than 0'),
            ({"method": "quniform", "dimension": {"low": 1, "high": 2, "q": 5}}, 'no multiple of "q" 5'),
            ({"method": "normal", "dimension": {"mu": 0, "sigma": 0}}, '"sigma" 0 must be greater than 0'),
            ({"method": "lognormal", "dimension": {"mu": 900, "sigma": 1}}, "cannot be written"),
            ({"method": "categorical", "dimension": {"categories": []}}, "at least one of them"),
            ({"method": "fixed", "dimension": {}}, 'needs a "value"'),
            ([], 'needs a "method"'),
        ]:
            with self.assertRaises(WrongInput) as caught:
                parse_space({"x": entry}, "space.json")
            self.assertIn(words, str(caught.exception))
        for value in ({}, [], "x", None):
            with self.assertRaisesRegex(WrongInput, "must be an object"):
                parse_space(value, "space.json")


if __name__ == "__main__":
    unittest.main()
