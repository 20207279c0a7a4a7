"""Sofas and a lounge chair."""

import random

from .materials import fabric, leather, wood
from .parts import board, cylinder, leg
from .soft import cushion
from .surfaces import metal
from .sweeps import mirrored, rod, tube


def grey_sofa() -> None:
    """Three-seat sofa with six loose cushions: 2.13 m wide, seat 0.46 m."""
    dice = random.Random(4)
    cloth, oak = fabric("#8f8f8d", weave=0.005, melange=0.3), wood("oak")
    cushion((1.88, 0.80, 0.14), (0, 0.01, 0.235), cloth, bulge=0.03, edge=0.02, wrinkles=0.001)
    arm = cushion(
        (0.46, 0.90, 0.15),
        (0.99, 0, 0.395),
        cloth,
        bulge=0.06,
        edge=0.035,
        wrinkles=0.003,
        piping=0.003,
        turn=(0, 88.5, 0),
    )
    mirrored(arm)
    cushion(
        (1.90, 0.54, 0.14),
        (0, 0.37, 0.46),
        cloth,
        bulge=0.05,
        edge=0.04,
        wrinkles=0.003,
        turn=(82, 0, 0),
    )
    for x in (-0.607, 0, 0.607):
        cushion(
            (0.604, 0.66, 0.18),
            (x, -0.115, 0.385),
            cloth,
            bulge=0.26,
            edge=0.05,
            wrinkles=0.007,
            piping=0.004,
            turn=(0, dice.uniform(-0.5, 0.5), dice.uniform(-0.5, 0.5)),
        )
        cushion(
            (0.60, 0.46, 0.21),
            (x * 0.995, 0.20 + dice.uniform(-0.01, 0.01), 0.665),
            cloth,
            bulge=0.45,
            edge=0.06,
            wrinkles=0.011,
            piping=0.004,
            turn=(73 + dice.uniform(-2, 2), dice.uniform(-1.2, 1.2), 0),
        )
    mirrored(leg((0.89, -0.33, 0.175), (0.92, -0.365, 0), 0.052, 0.03, oak), "xy")


def leather_armchair() -> None:
    """Lounge chair with stitched leather channels on bent steel: 0.76 m wide, seat 0.42 m."""
    hide, steel = leather("#6e3f20", 0.5), metal("black")
    loop = [
        (0.36, 0, 0.014),
        (0.36, -0.35, 0.014),
        (0.36, -0.40, 0.575),
        (0.36, 0.33, 0.545),
        (0.36, 0.38, 0.014),
        (0.36, 0, 0.014),
    ]
    side = [
        tube(loop, 0.014, steel, bend=0.09),
        tube(
            [(0.31, -0.36, 0.325), (0.31, 0.16, 0.235), (0.31, 0.435, 0.80)],
            0.012,
            steel,
            bend=0.10,
        ),
        rod((0.31, -0.30, 0.315), (0.36, -0.30, 0.315), 0.010, steel),
        rod((0.31, 0.302, 0.524), (0.36, 0.309, 0.524), 0.010, steel),
        cushion(
            (0.055, 0.46, 0.042),
            (0.36, -0.05, 0.563),
            hide,
            bulge=0.05,
            edge=0.02,
            wrinkles=0.0008,
            turn=(-2.3, 0, 0),
        )[0],
    ]
    side += [cylinder(0.02, 0.006, (0.36, y, 0.003), steel, 0.001) for y in (-0.26, 0.28)]
    mirrored(side)
    for y, z in ((-0.345, 0.322), (0.10, 0.246), (0.41, 0.75)):
        rod((-0.31, y, z), (0.31, y, z), 0.011, steel)
    for i in range(4):
        cushion(
            (0.59, 0.156, 0.12),
            (0, -0.325 + 0.1445 * i, 0.385 - 0.0245 * i),
            hide,
            bulge=0.22,
            edge=0.042,
            wrinkles=0.006,
            turn=(-9.7, 0, 0),
        )
    for i in range(4):
        cushion(
            (0.59, 0.160, 0.11),
            (0, 0.172 + 0.066 * i, 0.45 + 0.137 * i),
            hide,
            bulge=0.22,
            edge=0.042,
            wrinkles=0.006,
            turn=(64.3, 0, 0),
        )
    for x in (-0.2, 0.2):
        board((0.035, 0.50, 0.004), (x, -0.11, 0.277), hide, 0.001, turn=(-9.7, 0, 0))


ITEMS = {
    "sofa-grey": (
        grey_sofa,
        {"background": "blue", "azimuth": 0, "elevation": 7, "gap": 0.12, "zoom": 1.05},
    ),
    "sofa-grey-angle": (grey_sofa, {"background": "white", "azimuth": 33, "elevation": 12}),
    "armchair-leather": (
        leather_armchair,
        {"background": "concrete", "azimuth": 36, "elevation": 10, "gap": 0.5},
    ),
}
