"""Rendered scenes whose truth is known: recipes, the footage made from them, and measures of people in a world."""
