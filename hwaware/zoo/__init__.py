"""Reference nets, the data to train them on, and the recipes that do."""

from hwaware.zoo.recipes import Recipe, recipe
from hwaware.zoo.registry import NETS, Net, build, find

__all__ = ["NETS", "Net", "Recipe", "build", "find", "recipe"]
