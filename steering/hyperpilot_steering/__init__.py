"""Steering of a search in one run: reads what was evaluated, writes the points to evaluate next, remembers nothing."""
