"""Chests, a wardrobe, a media unit and a cube shelf."""

import math

import bpy

from .materials import fabric, leather, painted, wood
from .parts import board, cylinder, leg
from .storage_parts import (
    bar_handle,
    book_pile,
    book_row,
    carcass,
    covers,
    drawer,
    knob,
    plant,
    vase,
)
from .surfaces import metal
from .sweeps import mirrored, place, sheet


def chest_five() -> None:
    """White chest of five drawers with beech knobs and feet, 0.72 x 0.45 x 1.14 m."""
    white, beech, inside = painted("#d6d3cb"), wood("beech"), wood("pine")
    w, d, low, high, t = 0.72, 0.45, 0.13, 1.14, 0.022
    carcass(w, d, low, high, white, t, over=0.006)
    board((w - 2 * t - 0.01, 0.02, 0.02), (0, -d / 2 + 0.04, low - 0.008), white, 0.002)
    z, gap = low + t + 0.003, 0.0036
    for tall in (0.215, 0.205, 0.195, 0.17):
        front = (w - 2 * t - 2 * gap, tall - gap)
        drawer(front, (0, -d / 2 + 0.0105, z + tall / 2), 0.36, white, inside)
        for side in (-1, 1):
            knob((side * 0.185, -d / 2 + 0.0015, z + tall / 2), beech, 0.036)
        z += tall
    tall = high - t - 0.001 - z
    drawer(
        (w - 2 * t - 2 * gap, tall - gap), (0, -d / 2 + 0.0105, z + tall / 2), 0.36, white, inside
    )
    for side in (-1, 1):
        knob((side * 0.185, -d / 2 + 0.0015, z + tall / 2), beech, 0.036)
    mirrored(
        leg(
            (w / 2 - 0.05, d / 2 - 0.05, low + 0.001),
            (w / 2 - 0.045, d / 2 - 0.045, 0),
            0.046,
            0.028,
            beech,
        ),
        "xy",
    )


def chest_sage() -> None:
    """Wide sage-green chest of six drawers, brass handles, oak legs, 1.40 x 0.46 x 0.80 m."""
    sage, oak, brass, inside = painted("#76816a"), wood("oak"), metal("brass"), wood("pine")
    w, d, low, high, t, gap = 1.40, 0.46, 0.17, 0.80, 0.022, 0.0036
    carcass(w, d, low, high, sage, t, over=0.008)
    board((t, d - 0.006, high - low - 2 * t), (0, 0.001, (high + low) / 2), sage, 0.0015, along=2)
    wide, x = (w - 3 * t) / 2, (w - t) / 4
    z = low + t + 0.002
    for tall in (0.212, 0.202, 0.169):
        for side in (-1, 1):
            drawer(
                (wide - 2 * gap, tall - gap),
                (side * x, -d / 2 + 0.0105, z + tall / 2),
                0.38,
                sage,
                inside,
            )
            bar_handle(0.19, (side * x, -d / 2 + 0.001, z + tall * 0.56), brass)
        z += tall
    mirrored(
        leg(
            (w / 2 - 0.075, d / 2 - 0.065, low + 0.001),
            (w / 2 - 0.055, d / 2 - 0.045, 0),
            0.044,
            0.024,
            oak,
        ),
        "xy",
    )
    mirrored(board((w - 0.18, 0.022, 0.035), (0, d / 2 - 0.065, low - 0.017), oak, 0.003), "y")
    mirrored(board((0.022, d - 0.16, 0.035), (w / 2 - 0.078, 0, low - 0.017), oak, 0.003))
    book_pile((-0.42, 0.02, high), 2, covers(), 5)
    vase((0.45, 0.03, high), "#b5a68f", 0.25, 0.4)


def wardrobe_two() -> None:
    """White two-door wardrobe in an oak carcass, one drawer beneath, 1.00 x 0.58 x 1.98 m."""
    white, oak, dark = painted("#d4d1c9"), wood("oak"), wood("pine")
    w, d, low, high, t, gap = 1.00, 0.58, 0.09, 1.98, 0.025, 0.003
    carcass(w, d, low, high, oak, t, over=0.004)
    mirrored(
        leg(
            (w / 2 - 0.05, d / 2 - 0.05, low + 0.001),
            (w / 2 - 0.05, d / 2 - 0.05, 0),
            0.05,
            0.036,
            oak,
        ),
        "xy",
    )
    inner, floor, top = w - 2 * t, low + t, high - t
    tall = 0.27
    front = -d / 2 + 0.0115
    drawer((inner - 2 * gap, tall - 2 * gap), (0, front, floor + tall / 2), 0.48, white, dark)
    for side in (-1, 1):
        knob((side * 0.24, front - 0.0085, floor + tall / 2), oak, 0.04)
    board((inner, d - 0.05, 0.02), (0, 0.018, floor + tall + 0.01), oak, 0.0015, along=0)
    bottom = floor + tall + 0.0
    door, height = inner / 2 - 1.5 * gap, top - bottom - 2 * gap
    middle, rail = (top + bottom) / 2, 0.075
    for side in (-1, 1):
        x = side * (door / 2 + gap / 2)
        board(
            (door - 2 * rail + 0.01, 0.008, height - 2 * rail + 0.01),
            (x, front + 0.003, middle),
            white,
            0.001,
            along=2,
        )
        for end in (-1, 1):
            board(
                (rail, 0.021, height),
                (x + end * (door - rail) / 2, front, middle),
                white,
                0.002,
                along=2,
            )
            board(
                (door - 2 * rail + 0.0005, 0.0208, rail),
                (x, front, middle + end * (height - rail) / 2),
                white,
                0.002,
            )
        knob((side * (gap / 2 + rail / 2), front - 0.0095, 1.05), oak, 0.04)


def media_unit() -> None:
    """Low walnut media unit with two slatted sliding doors, 1.80 x 0.42 x 0.52 m."""
    walnut, black, cloth = wood("walnut", tone=0.9), metal("black"), covers()
    w, d, low, high, t = 1.80, 0.42, 0.14, 0.52, 0.024
    carcass(w, d, low, high, walnut, t, over=0.0)
    inner, base, top = w - 2 * t, low + t, high - t
    for x in (-0.29, 0.29):
        board((0.02, d - 0.05, top - base), (x, 0.018, (top + base) / 2), walnut, 0.0015, along=2)
    board((0.56, d - 0.08, 0.018), (0, 0.03, (top + base) / 2 + 0.01), walnut, 0.0015)
    for z in (base + 0.002, top - 0.002):
        for y in (-d / 2 + 0.012, -d / 2 + 0.036):
            board((inner, 0.004, 0.006), (0, y, z), black, 0.0005)
    door, height, front = 0.60, top - base - 0.008, -d / 2 + 0.028
    for side in (-1, 1):
        left = side * (inner / 2 - door / 2 - 0.003) - door / 2
        middle = (top + base) / 2
        board(
            (door, 0.008, height),
            (left + door / 2, front, middle),
            wood("walnut", tone=0.45),
            0.001,
            along=2,
        )
        for end in (0, 1):
            board(
                (0.03, 0.021, height),
                (left + 0.015 + end * (door - 0.03), front - 0.004, middle),
                walnut,
                0.002,
                along=2,
            )
        count = 22
        step = (door - 0.06) / count
        for i in range(count):
            board(
                (step - 0.0075, 0.016, height - 0.002),
                (left + 0.03 + step * (i + 0.5), front - 0.005, middle),
                walnut,
                0.003,
                along=2,
            )
    book_row(-0.25, -0.11, base + 0.001, 8, cloth, 17, lean=True, tall=0.155)
    book_pile((0.13, 0.02, (top + base) / 2 + 0.0195), 3, cloth, 3)
    mirrored(
        leg(
            (w / 2 - 0.16, d / 2 - 0.07, low + 0.001),
            (w / 2 - 0.125, d / 2 - 0.045, 0),
            0.042,
            0.024,
            walnut,
        ),
        "xy",
    )
    mirrored(board((w - 0.36, 0.024, 0.035), (0, d / 2 - 0.07, low - 0.017), walnut, 0.003), "y")
    vase((-0.62, 0.02, high), "#6a6f70", 0.23, 0.4)


def fabric_bin(
    x: float,
    z: float,
    wide: float,
    deep: float,
    high: float,
    cloth: bpy.types.Material,
    strap: bpy.types.Material,
) -> None:
    """A soft box with a sagging front, a hem and a strap; its foot stands at z."""

    def face(u: float, v: float, out: float = 0.0) -> tuple[float, float, float]:
        s = 2 * u - 1
        belly = 0.007 * (1 - s * s) * math.sin(math.pi * v) ** 0.8 + 0.0012 * math.sin(
            9 * s + 5 * v
        )
        round_ = 0.009 * abs(s) ** 24
        return s * wide / 2, -belly + round_ - out, v * high - 0.006 * (1 - s * s) * v**3

    parts = [
        sheet(face, 0.005, cloth, steps=64),
        sheet(
            lambda u, v: face(0.003 + u * 0.994, 0.90 + 0.1 * v, 0.0032), 0.0025, cloth, steps=64
        ),
        board((wide, 0.006, high - 0.01), (0, deep, high / 2), cloth, 0.003),
        board((wide - 0.004, deep, 0.006), (0, deep / 2, 0.003), cloth, 0.003),
    ]
    parts += [
        board(
            (0.005, deep, high - 0.005),
            (side * (wide / 2 - 0.0035), deep / 2 + 0.004, high / 2),
            cloth,
            0.0025,
        )
        for side in (-1, 1)
    ]

    def band(u: float, v: float) -> tuple[float, float, float]:
        s = 2 * u - 1
        lift = 0.02 * max(0.0, 1 - (s / 0.8) ** 2) ** 0.7
        return s * 0.062, -0.0125 - lift, high * 0.66 + (v - 0.5) * 0.024 - 0.006 * (1 - s * s)

    parts.append(sheet(band, 0.0028, strap, steps=32))
    parts += [
        cylinder(
            0.0048,
            0.003,
            (side * 0.056, -0.0145, high * 0.66),
            metal("brushed steel"),
            0.001,
            turn=(90, 0, 0),
        )
        for side in (-1, 1)
    ]
    place(parts, (x, -deep / 2 - 0.005, z), (0, 0, 0.8))


def cube_shelf() -> None:
    """White 2 x 2 cube shelf with two grey fabric bins, 0.77 x 0.39 x 0.77 m."""
    white, cloth, strap, books = (
        painted("#d8d6d1"),
        fabric("#7d7f83", 0.0026),
        leather("#5d3d28"),
        covers(),
    )
    w, d, t, mid = 0.77, 0.39, 0.038, 0.018
    mirrored(board((t, d, w - 2 * t), (w / 2 - t / 2, 0, w / 2), white, 0.0015, along=2))
    for z in (t / 2, w - t / 2):
        board((w, d, t), (0, 0, z), white, 0.0015)
    board((mid, d - 0.004, w - 2 * t), (0, 0, w / 2), white, 0.0012, along=2)
    cell = (w - 2 * t - mid) / 2
    x, base, upper = (cell + mid) / 2, t, t + cell + mid
    for side in (-1, 1):
        board((cell + 0.0004, d - 0.004, mid), (side * x, 0, w / 2), white, 0.0012)
    fabric_bin(-x, base, cell - 0.014, 0.35, 0.305, cloth, strap)
    fabric_bin(x, upper, cell - 0.014, 0.35, 0.305, cloth, strap)
    book_row(-x - cell / 2 + 0.004, -0.13, upper, 9, books, 6, lean=True, tall=0.27)
    book_pile((x, -0.02, base), 3, books, 10)
    plant((-0.2, 0.02, w), 0.27, "#a39a8d", 26, 5)


ITEMS = {
    "chest-five": (chest_five, {"background": "grey", "azimuth": 28, "elevation": 11}),
    "chest-sage": (chest_sage, {"background": "cream", "azimuth": -4, "elevation": 9, "gap": 0.03}),
    "wardrobe-two": (
        wardrobe_two,
        {"background": "warm", "azimuth": -28, "elevation": 8, "zoom": 1.06},
    ),
    "media-unit": (
        media_unit,
        {"background": "beige", "azimuth": 20, "elevation": 12, "gap": 0.04},
    ),
    "cube-shelf": (
        cube_shelf,
        {"background": "green", "azimuth": 24, "elevation": 14, "gap": 0.05},
    ),
}
