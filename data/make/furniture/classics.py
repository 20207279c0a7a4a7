"""A dining chair, an armchair and a floor lamp."""

import math

from .materials import fabric, velvet, wood
from .parts import board, cylinder, lathe, leg
from .soft import bulb, cushion
from .surfaces import lampshade, metal
from .sweeps import mirrored, rod, sheet, tube


def dining_chair() -> None:
    """Oak dining chair with an upholstered seat: seat 0.46 m, back 0.82 m high."""
    oak = wood("oak")
    front = leg((0.205, -0.20, 0.425), (0.21, -0.215, 0), 0.036, 0.024, oak)
    back = tube(
        [
            (0.19, 0.265, 0.0),
            (0.19, 0.215, 0.25),
            (0.19, 0.2, 0.45),
            (0.19, 0.235, 0.66),
            (0.19, 0.285, 0.82),
        ],
        0.0155,
        oak,
        end_radius=0.0125,
    )
    side = board((0.02, 0.385, 0.05), (0.2, 0.003, 0.398), oak, 0.004, turn=(0, 0, 1.5))
    stretcher = rod((0.208, -0.205, 0.2), (0.19, 0.215, 0.235), 0.008, oak)
    mirrored([front, back, side, stretcher])
    board((0.38, 0.02, 0.05), (0, -0.2, 0.398), oak, 0.004)
    board((0.36, 0.02, 0.05), (0, 0.2, 0.398), oak, 0.004)
    rest = sheet(
        lambda u, v: (
            0.186 * (2 * u - 1),
            0.247 + 0.035 * v + 0.035 * (1 - (2 * u - 1) ** 2),
            0.705 + v * (0.095 + 0.015 * (1 - (2 * u - 1) ** 2)),
        ),
        0.014,
        oak,
    )
    rest.name = "backrest"
    cushion(
        (0.425, 0.40, 0.06),
        (0, -0.018, 0.442),
        fabric("#6f7a70"),
        bulge=0.3,
        edge=0.026,
        wrinkles=0.0012,
    )


def armchair() -> None:
    """Velvet armchair with loose cushions: seat 0.44 m, 0.80 m wide."""
    cloth, beech = velvet("#1d4f49"), wood("walnut")
    cushion((0.66, 0.70, 0.16), (0, 0.0, 0.25), cloth, bulge=0.04, edge=0.03, wrinkles=0.001)
    arm = cushion(
        (0.40, 0.72, 0.13),
        (0.335, 0.0, 0.38),
        cloth,
        bulge=0.12,
        edge=0.055,
        wrinkles=0.003,
        turn=(0, 86, 0),
    )
    mirrored(arm)
    cushion(
        (0.72, 0.58, 0.14),
        (0, 0.32, 0.52),
        cloth,
        bulge=0.12,
        edge=0.06,
        wrinkles=0.003,
        turn=(80, 0, 0),
    )
    cushion(
        (0.535, 0.60, 0.15),
        (0, -0.055, 0.395),
        cloth,
        bulge=0.3,
        edge=0.045,
        wrinkles=0.007,
        piping=0.004,
    )
    cushion(
        (0.53, 0.42, 0.16),
        (0, 0.20, 0.62),
        cloth,
        bulge=0.45,
        edge=0.05,
        wrinkles=0.006,
        piping=0.004,
        turn=(76, 0, 0),
    )
    legs = leg((0.28, -0.27, 0.18), (0.32, -0.32, 0), 0.045, 0.024, beech)
    mirrored(legs, "xy")


def floor_lamp() -> None:
    """Brass floor lamp with a lit linen shade, 1.52 m high."""
    brass = metal("brass")
    lathe(
        [
            (0, 0.026),
            (0.03, 0.026),
            (0.05, 0.023),
            (0.13, 0.017),
            (0.138, 0.015),
            (0.142, 0.011),
            (0.142, 0.001),
            (0, 0.001),
        ],
        (0, 0, 0),
        brass,
        smooth=False,
        sides=96,
    )
    rod((0, 0, 0.02), (0, 0, 1.27), 0.008, brass)
    for height in (0.05, 0.66, 1.25):
        cylinder(0.0125, 0.03, (0, 0, height), brass, 0.004)
    cylinder(0.019, 0.06, (0, 0, 1.29), brass, 0.003)
    linen = lampshade()

    def wall(u: float, v: float) -> tuple[float, float, float]:
        radius, angle = 0.215 - 0.05 * v, 2 * math.pi * u
        return radius * math.cos(angle), radius * math.sin(angle), 1.23 + 0.28 * v

    sheet(wall, 0.0, linen, steps=72)
    for v in (0.0, 1.0):
        tube([wall(i / 48, v) for i in range(48)], 0.0025, linen, closed=True)
    for turn in range(3):
        x, y, z = wall(turn / 3, 0.93)
        rod((0, 0, z), (x, y, z), 0.002, brass)
    rod((0, 0, 1.30), (0, 0, 1.50), 0.003, brass)
    bulb((0, 0, 1.38), 17)


ITEMS = {
    "dining-chair-oak": (dining_chair, {"background": "white", "azimuth": 32, "elevation": 14}),
    "armchair-green": (armchair, {"background": "beige", "azimuth": -28, "elevation": 11}),
    "lamp-floor-brass": (
        floor_lamp,
        {"background": "green", "azimuth": 15, "elevation": 5, "level": 0.4, "gap": 0.8},
    ),
}
