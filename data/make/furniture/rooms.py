"""Beds, lamps, mirrors and a plant stand."""

import math
import random

from .draped import drape, leaf_skin, linen, room_behind, soil, sword_leaf
from .materials import fabric, painted, wood
from .parts import board, cylinder, ellipse, lathe, leg, panel
from .soft import bulb, cushion
from .surfaces import ceramic, lampshade, metal, mirror
from .sweeps import around, mirrored, place, repeated, rod, sheet, tube


def double_bed() -> None:
    """Upholstered double bed, 1.70 x 2.16 m, headboard 1.15 m high, made up in white."""
    cloth, white, oak = fabric("#63656a", weave=0.005), linen(), wood("walnut")
    for x in (-0.6375, -0.2125, 0.2125, 0.6375):
        cushion(
            (0.425, 1.02, 0.10),
            (x, 1.03, 0.64),
            cloth,
            bulge=0.25,
            edge=0.035,
            wrinkles=0.003,
            piping=0.003,
            turn=(90, 0, 0),
        )
    mirrored(
        cushion(
            (0.24, 2.08, 0.06),
            (0.82, -0.03, 0.235),
            cloth,
            bulge=0.02,
            edge=0.02,
            wrinkles=0.002,
            turn=(0, 90, 0),
        )
    )
    cushion(
        (1.70, 0.24, 0.06),
        (0, -1.05, 0.235),
        cloth,
        bulge=0.02,
        edge=0.02,
        wrinkles=0.002,
        turn=(90, 0, 0),
    )
    mirrored(leg((0.74, -0.98, 0.13), (0.74, -0.98, 0), 0.05, 0.035, oak), "xy")
    cushion((1.58, 2.00, 0.24), (0, -0.03, 0.41), white, bulge=0.02, edge=0.05, wrinkles=0.001)
    block = board((1.61, 2.03, 0.255), (0, -0.04, 0.405), white, 0.07)
    rails = board((1.76, 2.16, 0.26), (0, -0.03, 0.245), white, 0.03)
    duvet = drape(
        (2.16, 1.86), (0, -0.39, 0.58), white, [block, rails], 0.035, stiff=1.6, grow=0.04
    )
    turned = drape(
        (2.20, 0.42), (0, 0.315, 0.67), white, [block, rails, duvet], 0.024, stiff=1.6, grow=0.02
    )
    turned.name = "turned-back duvet"
    block.hide_render = rails.hide_render = True
    block["set"] = rails["set"] = True
    for x in (-0.375, 0.375):
        cushion(
            (0.75, 0.48, 0.24),
            (x, 0.78, 0.695),
            linen("#dad8d4"),
            pillow=True,
            wrinkles=0.012,
            turn=(38, 0, x * 6),
            detail=60,
        )


def pine_bed() -> None:
    """Single pine bed, 0.98 x 2.08 m, slatted headboard 0.95 m high, blue blanket."""
    pine, white, blue = wood("pine"), linen(), fabric("#2d4a6b", weave=0.006, melange=0.4)
    for y, height in ((1.015, 0.95), (-1.015, 0.50)):
        mirrored(board((0.055, 0.055, height), (0.465, y, height / 2), pine, 0.006))
        board((0.875, 0.028, 0.085), (0, y, height - 0.07), pine, 0.005)
        board((0.875, 0.026, 0.06), (0, y, 0.30), pine, 0.004)
        slat = board((0.05, 0.014, height - 0.42), (-0.36, y, 0.11 + height / 2), pine, 0.003)
        repeated(slat, 7, (0.12, 0, 0))
    mirrored(board((0.024, 1.98, 0.13), (0.465, 0, 0.285), pine, 0.004))
    board((0.89, 1.96, 0.02), (0, 0, 0.262), pine)
    cushion(
        (0.885, 1.96, 0.17),
        (0, 0, 0.36),
        white,
        bulge=0.04,
        edge=0.05,
        wrinkles=0.002,
        piping=0.004,
    )
    block = [
        board((0.89, 1.94, 0.165), (0, 0, 0.362), white, 0.05),
        board((0.965, 1.92, 0.14), (0, 0, 0.28), white, 0.01),
    ]
    drape((1.38, 1.26), (0, -0.34, 0.47), blue, block, 0.009, stiff=0.5, grow=0.035)
    for thing in block:
        thing.hide_render = thing["set"] = True
    cushion(
        (0.66, 0.46, 0.20),
        (0, 0.73, 0.515),
        white,
        pillow=True,
        wrinkles=0.011,
        turn=(22, 0, 3),
        detail=60,
    )


def _shade(low: float, high: float, bottom: float, top: float, material) -> None:
    """A lampshade between two radii and two heights, with rolled rims and a three-armed spider."""

    def wall(u: float, v: float) -> tuple[float, float, float]:
        radius, angle = low + (high - low) * v, 2 * math.pi * u
        return radius * math.cos(angle), radius * math.sin(angle), bottom + (top - bottom) * v

    sheet(wall, 0.0, material, steps=72)
    for v in (0.0, 1.0):
        tube([wall(i / 48, v) for i in range(48)], 0.0024, material, closed=True)
    for turn in range(3):
        x, y, z = wall(turn / 3 + 0.08, 0.94)
        rod((0, 0, z), (x * 0.985, y * 0.985, z), 0.0018, metal("brass"))
    bulb((0, 0, bottom + (top - bottom) * 0.45), 13 * (low / 0.2) ** 1.4)


def _cable(points, colour: str = "#d8d4cc") -> None:
    """A textile cable on the floor; it does not count for the framing."""
    tube(points, 0.003, fabric(colour, weave=0.001))["set"] = True


def ceramic_lamp() -> None:
    """Table lamp with a ceramic body and a linen shade, 0.56 m high."""
    brass, linen_shade = metal("brass"), lampshade("#dccdae", 0.5)
    lathe(
        [
            (0, 0.004),
            (0.062, 0.004),
            (0.070, 0.009),
            (0.066, 0.024),
            (0.090, 0.060),
            (0.110, 0.102),
            (0.1165, 0.142),
            (0.110, 0.182),
            (0.089, 0.222),
            (0.060, 0.251),
            (0.038, 0.270),
            (0.030, 0.286),
            (0.033, 0.298),
            (0.026, 0.303),
            (0, 0.303),
        ],
        (0, 0, 0),
        ceramic("#d9d5cc", 0.15),
    )
    cylinder(0.060, 0.006, (0, 0, 0.003), painted("#6d5a45", 0.9), 0.001)
    cylinder(0.018, 0.012, (0, 0, 0.308), brass, 0.002)
    rod((0, 0, 0.31), (0, 0, 0.545), 0.005, brass)
    cylinder(0.016, 0.05, (0, 0, 0.365), brass, 0.002)
    cylinder(0.009, 0.018, (0, 0, 0.551), brass, 0.004)
    _shade(0.178, 0.135, 0.325, 0.545, linen_shade)
    _cable(
        [
            (0.03, 0.055, 0.012),
            (0.06, 0.13, 0.003),
            (0.16, 0.22, 0.003),
            (0.30, 0.21, 0.003),
            (0.46, 0.30, 0.003),
            (0.75, 0.42, 0.003),
            (1.3, 0.45, 0.003),
        ]
    )


def tripod_lamp() -> None:
    """Floor lamp on three wooden legs with a drum shade, 1.50 m high."""
    teak, black = wood("teak"), metal("black")
    shank = [
        leg((0.045, 0, 1.13), (0.305, 0, 0.0), 0.032, 0.021, teak),
        rod((0, 0, 0.52), (0.19, 0, 0.52), 0.004, black),
        cylinder(0.006, 0.05, (0.052, 0, 1.105), black, 0.002, turn=(90, 0, 0)),
    ]
    place(shank, turn=(0, 0, -78))
    around(shank, 3)
    cylinder(0.014, 0.018, (0, 0, 0.52), black)
    cylinder(0.066, 0.022, (0, 0, 1.132), teak, 0.005)
    cylinder(0.016, 0.09, (0, 0, 1.185), black)
    rod((0, 0, 1.14), (0, 0, 1.49), 0.005, black)
    cylinder(0.009, 0.018, (0, 0, 1.495), black, 0.004)
    _shade(0.235, 0.225, 1.20, 1.48, lampshade("#e9e5dc", 0.45))
    _cable(
        [
            (0.0, 0.0, 1.12),
            (0.01, 0.015, 0.6),
            (0.025, 0.04, 0.12),
            (0.045, 0.07, 0.028),
            (0.09, 0.12, 0.0035),
            (0.26, 0.26, 0.003),
            (0.55, 0.36, 0.003),
            (0.9, 0.45, 0.003),
            (1.8, 0.48, 0.003),
        ],
        "#1d1d1d",
    )


def round_mirror() -> None:
    """Round wall mirror, 0.80 m, thin black frame, hung at eye height."""
    room_behind(6.5, 2.2)
    cylinder(0.39, 0.006, (0, -0.012, 1.55), mirror(), 0.001, turn=(90, 0, 0))
    lathe(
        [
            (0.388, 0.0),
            (0.388, 0.023),
            (0.390, 0.025),
            (0.398, 0.025),
            (0.400, 0.023),
            (0.400, 0.0),
        ],
        (0, 0, 1.55),
        metal("black"),
        smooth=False,
        sides=144,
        turn=(90, 0, 0),
    )


def arched_mirror() -> None:
    """Arched floor mirror, 0.80 x 1.80 m, brass frame, leaning on the wall."""
    room_behind(7.5, -3.1)
    half, top = 0.40, 1.40
    line = [(-half + half * i / 16, 0.0) for i in range(33)] + [
        (half, top * i / 48) for i in range(1, 48)
    ]
    line += [
        (half * math.cos(a), top + half * math.sin(a))
        for a in (math.pi * i / 48 for i in range(49))
    ]
    line += [(-half, top * i / 48) for i in range(47, 0, -1)]
    frame = tube([(x, y, 0.0) for x, y in line], 0.0125, metal("brass", "#e6c67f"), closed=True)
    glass = panel(
        [(x * 0.99, y * 0.995 + 0.004) for x, y in line], 0.006, (0, 0, 0.0), mirror(), 0.001
    )
    back = panel(
        [(x * 0.985, y * 0.99 + 0.008) for x, y in line],
        0.008,
        (0, 0, -0.008),
        painted("#3a3530", 0.7),
        0.001,
    )
    place([frame, glass, back], (0, -0.24, 0.0125), (82.5, 0, 0))


def plant_stand() -> None:
    """Black steel plant stand with a white pot and a snake plant; stand 0.30 m, all 0.95 m high."""
    steel, dice, skin = metal("black"), random.Random(11), leaf_skin()
    post = [
        tube([(0.150, 0, 0.0), (0.150, 0, 0.46)], 0.008, steel, bend=0.0),
        rod((0, 0, 0.20), (0.150, 0, 0.20), 0.007, steel),
        cylinder(0.010, 0.006, (0.150, 0, 0.003), steel, 0.002),
    ]
    place(post, turn=(0, 0, 20))
    around(post, 4)
    tube(
        [
            (0.150 * math.cos(a), 0.150 * math.sin(a), 0.40)
            for a in (i * math.pi / 24 for i in range(48))
        ],
        0.006,
        steel,
        closed=True,
    )
    lathe(
        [
            (0, 0.208),
            (0.100, 0.208),
            (0.108, 0.216),
            (0.134, 0.455),
            (0.134, 0.461),
            (0.131, 0.463),
            (0.126, 0.461),
            (0.124, 0.43),
            (0, 0.43),
        ],
        (0, 0, 0),
        ceramic("#d6d3cc", 0.0),
        smooth=False,
    )
    panel(ellipse(0.246, 0.246), 0.012, (0, 0, 0.437), soil(), 0.004)
    for i in range(15):
        heading, spread = i * 2.4, 0.018 + 0.056 * math.sqrt(i / 15)
        sword_leaf(
            (spread * math.cos(heading), spread * math.sin(heading), 0.43),
            dice.uniform(0.38, 0.54) * (1.08 - 0.42 * i / 15),
            dice.uniform(0.046, 0.060),
            dice.uniform(0.03, 0.07) + 0.08 * i / 15,
            heading + dice.uniform(-0.3, 0.3),
            i,
            skin,
        )


ITEMS = {
    "bed-upholstered": (
        double_bed,
        {"background": "beige", "azimuth": 33, "elevation": 14, "gap": 0.03},
    ),
    "bed-pine": (pine_bed, {"background": "green", "azimuth": -36, "elevation": 16, "gap": 0.06}),
    "lamp-ceramic": (
        ceramic_lamp,
        {"background": "warm", "azimuth": 10, "elevation": 8, "level": 0.55},
    ),
    "lamp-tripod": (
        tripod_lamp,
        {"background": "blue", "azimuth": -14, "elevation": 5, "level": 0.45, "gap": 0.6},
    ),
    "mirror-round": (
        round_mirror,
        {"background": "green", "azimuth": -16, "elevation": 1, "gap": 0.001, "zoom": 0.9},
    ),
    "mirror-arched": (
        arched_mirror,
        {"background": "cream", "azimuth": 24, "elevation": 4, "gap": 0.002, "zoom": 1.08},
    ),
    "plant-stand": (plant_stand, {"background": "grey", "azimuth": 12, "elevation": 10}),
}
