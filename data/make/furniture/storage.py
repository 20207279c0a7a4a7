"""Shelves, racks and stands."""

from .materials import painted, wood
from .parts import board, cylinder, lathe, leg
from .storage_parts import book_pile, book_row, covers, plant, settle, vase
from .surfaces import ceramic, metal
from .sweeps import around, mirrored, place, repeated, rod, tube


def bookcase_oak() -> None:
    """Tall open oak bookcase with five shelves, 0.80 x 0.30 x 1.90 m."""
    oak, cloth = wood("oak", tone=1.12), covers()
    w, d, h, t = 0.80, 0.30, 1.90, 0.022
    mirrored(board((t, d, h), (w / 2 - t / 2, 0, h / 2), oak, 0.002, along=2))
    levels = [0.08, 0.45, 0.82, 1.18, 1.53]
    for z in levels:
        board((w - 2 * t, d - 0.008, t), (0, 0.003, z + t / 2), oak, 0.0018)
        board((w - 2 * t, 0.016, 0.05), (0, d / 2 - 0.012, z + t + 0.024), oak, 0.002)
    board((w - 2 * t, d - 0.002, t), (0, 0, h - t / 2), oak, 0.0018)
    board((w - 2 * t, 0.016, 0.05), (0, d / 2 - 0.012, h - t - 0.024), oak, 0.002)
    board((w - 2 * t, 0.018, 0.08), (0, -d / 2 + 0.03, 0.04), oak, 0.002)
    left, front = -w / 2 + t + 0.004, -d / 2 + 0.045
    low, second, third, fourth, fifth = (z + t for z in levels)
    book_row(left, front - 0.01, low, 9, cloth, 4, lean=True, tall=0.31)
    book_pile((0.2, 0, low), 5, cloth, 8)
    book_row(left, front, second, 14, cloth, 11, lean=True)
    book_pile((-0.19, 0, third), 3, cloth, 5)
    vase((0.2, 0.0, third), "#55666b", 0.22)
    book_row(0.0, front, fourth, 13, cloth, 21)
    lathe(
        [
            (0, 0.012),
            (0.04, 0.0),
            (0.045, 0.002),
            (0.085, 0.05),
            (0.095, 0.075),
            (0.091, 0.075),
            (0.078, 0.05),
            (0, 0.016),
        ],
        (-0.2, 0, fourth),
        ceramic("#b9a58a"),
    )
    book_row(left, front, fifth, 7, cloth, 33, lean=True)
    vase((0.24, 0, fifth), "#c9c0b0", 0.15, 0.6)


def shelf_ladder() -> None:
    """Leaning ladder shelf, black steel and ash, 0.60 x 0.44 x 1.88 m."""
    black, ash, cloth = metal("black"), wood("ash"), covers()
    foot, high, tip = -0.40, 1.88, -0.019
    mirrored(
        leg(
            (0.2875, tip, high),
            (0.2875, foot, 0.004),
            0.025,
            0.025,
            black,
            round_=False,
            bevel=0.003,
        )
    )
    mirrored(
        leg(
            (0.2875, foot, 0.012),
            (0.2875, foot, 0),
            0.029,
            0.029,
            painted("#171717", 0.7),
            bevel=0.002,
        )
    )
    mirrored(
        cylinder(
            0.012,
            0.02,
            (0.2875, -0.01, high - 0.03),
            painted("#171717", 0.7),
            0.002,
            turn=(90, 0, 0),
        )
    )
    rod((-0.28, tip - 0.004, high - 0.014), (0.28, tip - 0.004, high - 0.014), 0.0095, black)
    for z in (0.30, 0.70, 1.10, 1.50):
        front, back = foot + (tip - foot) * z / high - 0.075, -0.008
        depth, middle = back - front, (back + front) / 2
        mirrored(board((0.006, depth, 0.035), (0.2725, middle, z - 0.0085), black, 0.001))
        for y in (front + 0.003, back - 0.003):
            board((0.545, 0.006, 0.035), (0, y, z - 0.0085), black, 0.001)
        board((0.5385, depth - 0.013, 0.02), (0, middle, z + 0.0), ash, 0.002)
        for side in (-1, 1):
            cylinder(
                0.006,
                0.004,
                (side * 0.2685, foot + (tip - foot) * z / high, z - 0.018),
                metal("brushed steel"),
                0.001,
                turn=(0, 90, 0),
            )
    plant((0.13, -0.12, 1.51), 0.24, "#8f8377")
    book_row(-0.26, -0.235, 1.11, 7, cloth, 9, lean=True)
    vase((0.16, -0.14, 1.11), "#8a6a52", 0.17)
    top = book_pile((-0.08, -0.2, 0.71), 3, cloth, 13)
    lathe(
        [
            (0, 0.008),
            (0.03, 0.0),
            (0.055, 0.03),
            (0.06, 0.05),
            (0.057, 0.05),
            (0.05, 0.03),
            (0, 0.012),
        ],
        (-0.08, -0.2, top),
        ceramic("#b8b2a6"),
    )
    plant((0.13, -0.22, 0.31), 0.20, "#5d625c", 18, 7)


def shoe_rack() -> None:
    """Bamboo shoe rack with three slatted tiers, 0.70 x 0.27 x 0.53 m."""
    bamboo = wood("bamboo", 0.36)
    w, d, h, post = 0.70, 0.27, 0.53, 0.022
    x, y = w / 2 - post / 2, d / 2 - post / 2
    mirrored(board((post, post, h), (x, y, h / 2), bamboo, 0.004), "xy")
    steel = metal("brushed steel")
    for z in (0.10, 0.30, 0.50):
        mirrored(board((0.016, d - 2 * post + 0.004, 0.03), (x, 0, z), bamboo, 0.003))
        mirrored(board((w - 2 * post, 0.016, 0.024), (0, y, z - 0.001), bamboo, 0.003), "y")
        slat = board((w - 2 * post + 0.016, 0.030, 0.009), (0, -0.088, z + 0.0185), bamboo, 0.003)
        for one in repeated(slat, 5, (0, 0.044, 0)):
            mirrored(
                cylinder(0.0032, 0.002, (x - 0.004, one.location.y, z + 0.0228), steel, 0.0006)
            )
        for side in (-1, 1):
            for front in (-1, 1):
                cylinder(
                    0.0042,
                    0.003,
                    (side * (w / 2 + 0.0002), front * y, z),
                    steel,
                    0.001,
                    turn=(0, 90, 0),
                )
    mirrored(cylinder(0.009, 0.004, (x, y, 0), painted("#262626", 0.7), 0.001), "xy")
    settle()


def coat_stand() -> None:
    """Beech coat stand with two rings of hooks and four splayed feet, 1.78 m high."""
    beech = wood("beech")
    leg((0, 0, 1.735), (0, 0, 0.13), 0.034, 0.044, beech)
    lathe(
        [
            (0, 1.782),
            (0.012, 1.779),
            (0.022, 1.762),
            (0.018, 1.745),
            (0.012, 1.737),
            (0.0185, 1.730),
            (0.0185, 1.72),
            (0, 1.72),
        ],
        (0, 0, 0),
        beech,
    )
    foot = tube(
        [
            (0.012, 0, 0.37),
            (0.034, 0, 0.325),
            (0.085, 0, 0.215),
            (0.16, 0, 0.095),
            (0.235, 0, 0.028),
            (0.285, 0, 0.011),
        ],
        0.0125,
        beech,
        flat=1.35,
        end_radius=0.0095,
    )
    stay = rod((0.012, 0, 0.17), (0.115, 0, 0.162), 0.0075, beech)
    pad = cylinder(0.009, 0.005, (0.276, 0, 0), painted("#3a2f28", 0.8), 0.001)
    hook = tube(
        [(0.010, 0, 1.60), (0.055, 0, 1.60), (0.10, 0, 1.625), (0.128, 0, 1.67), (0.138, 0, 1.712)],
        0.0098,
        beech,
        end_radius=0.0085,
    )
    knob = lathe(
        [(0, 0.012), (0.009, 0.009), (0.0125, 0), (0.009, -0.009), (0, -0.012)],
        (0.139, 0, 1.717),
        beech,
    )
    lower = tube(
        [(0.010, 0, 1.37), (0.045, 0, 1.37), (0.078, 0, 1.39), (0.098, 0, 1.43)],
        0.0098,
        beech,
        end_radius=0.0085,
    )
    small = lathe(
        [(0, 0.011), (0.008, 0.008), (0.011, 0), (0.008, -0.008), (0, -0.011)],
        (0.1, 0, 1.434),
        beech,
    )
    place([foot, stay, pad, hook, knob], turn=(0, 0, 20))
    place([lower, small], turn=(0, 0, 65))
    around([foot, stay, pad, hook, knob, lower, small], 4)
    settle()


ITEMS = {
    "bookcase-oak": (
        bookcase_oak,
        {"background": "blue", "azimuth": -24, "elevation": 9, "gap": 0.02, "zoom": 1.06},
    ),
    "shelf-ladder": (
        shelf_ladder,
        {"background": "concrete", "azimuth": 27, "elevation": 10, "gap": 0.0, "zoom": 1.06},
    ),
    "shoe-rack": (shoe_rack, {"background": "white", "azimuth": 30, "elevation": 18}),
    "coat-stand": (
        coat_stand,
        {"background": "beige", "azimuth": 8, "elevation": 8, "gap": 0.4, "zoom": 1.08},
    ),
}
