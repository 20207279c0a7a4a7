"""Backgrounds: seamless paper sweeps, and rooms with a wall and a floor."""

import itertools
import math
import random

import bmesh
import numpy as np

from .materials import Graph, painted, rgba, wood
from .parts import board, finish
from .surfaces import concrete

SWEEPS = {"white": "#f4f4f3", "grey": "#cfcfce", "warm": "#e6ddd0"}
ROOMS = {  # wall colour, floor wood, floor tone, skirting colour
    "beige": ("#dccfbc", "oak", 0.8, "#f1ede5"),
    "green": ("#bfcabb", "ash", 0.9, "#eeefe9"),
    "blue": ("#b7c5cf", "ash", 0.9, "#eef0f0"),
    "cream": ("#ece5d8", "walnut", 1.1, "#f5f1e9"),
    "concrete": ("", "oak", 0.6, ""),
}


def sweep(name: str, reach: float, azimuth: float) -> None:
    """A seamless paper backdrop that faces the camera."""
    g = Graph("backdrop")
    g.principled(
        Base_Color=rgba(SWEEPS[name]),
        Roughness=0.9,
        Specular_IOR_Level=0.1,
        Emission_Color=rgba(SWEEPS[name]),
    )
    if name == "white":
        height = g.add("SeparateXYZ", {0: g.coords((1 / reach,) * 3)}, out=2)
        g.principled(
            Emission_Strength=g.add("MapRange", {0: height, 1: -0.1, 2: 1.8, 3: 0.16, 4: 1.9})
        )
    back, bend, wide = 3.2 * reach, 2.0 * reach, 16 * reach
    line = (
        [(-12 * reach, 0.0)]
        + [
            (back + bend * math.sin(a), bend * (1 - math.cos(a)))
            for a in (i * math.pi / 48 for i in range(25))
        ]
        + [(back + bend, 14 * reach)]
    )
    mesh = bmesh.new()
    rows = [[mesh.verts.new((x, y, z)) for x in (-wide, wide)] for y, z in line]
    for one, two in itertools.pairwise(rows):
        mesh.faces.new((one[0], one[1], two[1], two[0]))
    finish(mesh, "backdrop", g.material, turn=(0, 0, azimuth), sharp=180)["set"] = True


def room(name: str, wall_at: float) -> None:
    """A wall with a skirting board and a floor of planks (or bare concrete)."""
    colour, species, tone, skirting = ROOMS[name]
    mesh = bmesh.new()
    grain, tints = [], []
    dice, width, length = random.Random(5), 0.14, 1.9
    for row in range(64):
        for col in range(-5, 5):
            x, y = (col + (row * 0.37) % 1) * length, wall_at - row * width
            corners = [
                (x, y),
                (x + length - 0.0015, y),
                (x + length - 0.0015, y - width + 0.0015),
                (x, y - width + 0.0015),
            ]
            mesh.faces.new([mesh.verts.new((*c, 0)) for c in corners])
            start, heart, tint = (
                dice.uniform(0, 20),
                dice.uniform(0.1, 0.25),
                dice.uniform(-0.1, 0.1),
            )
            grain += [
                (start + cx - x, heart + cy - y, 0.04 + 0.03 * (cx - x)) for cx, cy in corners
            ]
            tints += [tint] * 4
    plain = name == "concrete"
    floor = finish(mesh, "floor", concrete("#8f8d89") if plain else wood(species, 0.5, tone))
    floor.data.attributes["grain"].data.foreach_set("vector", np.array(grain, "f").ravel())
    floor.data.attributes.new("tint", "FLOAT", "POINT").data.foreach_set(
        "value", np.array(tints, "f")
    )
    paint = concrete("#b3b1ad") if plain else painted(colour, 0.85)
    made = [
        floor,
        board((20, 0.1, 7), (0, wall_at + 0.05, 3.45), paint, 0.001),
        board(
            (20, 9.1, 0.1),
            (0, wall_at - 4.5, -0.0515),
            concrete("#8f8d89") if plain else painted("#4a3a2a"),
            0.001,
        ),
    ]
    if skirting:
        made.append(
            board((20, 0.016, 0.09), (0, wall_at - 0.0075, 0.0445), painted(skirting, 0.4), 0.004)
        )
    for thing in made:
        thing["set"] = True
