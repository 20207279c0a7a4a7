"""Small tables: coffee tables, nesting tables, an end table, a console and a nightstand."""

import math

import bpy
from mathutils import Matrix

from .materials import painted, wood
from .parts import Point, board, cylinder, ellipse, lathe, leg, panel, rounded
from .surfaces import glass, marble, metal
from .sweeps import mirrored, place, rod, tube


def knob(at: Point, material: bpy.types.Material, radius: float = 0.013) -> bpy.types.Object:
    """A turned knob that sticks out towards -y."""
    r = radius
    return lathe(
        [
            (0, 1.9 * r),
            (0.6 * r, 1.82 * r),
            (r, 1.4 * r),
            (0.8 * r, 1.0 * r),
            (0.42 * r, 0.6 * r),
            (0.42 * r, 0.3 * r),
            (0.75 * r, 0.1 * r),
            (0.75 * r, 0),
        ],
        at,
        material,
        sides=40,
        turn=(90, 0, 0),
    )


def frame(
    width: float,
    depth: float,
    height: float,
    bar: float,
    material: bpy.types.Material,
    rails: tuple[float, ...],
) -> None:
    """A frame of square steel tube: four posts, and rails all round whose tops lie at these heights."""
    x, y = width / 2 - bar / 2, depth / 2 - bar / 2
    mirrored(board((bar, bar, height), (x, y, height / 2), material, 0.0015), "xy")
    for top in rails:
        mirrored(board((width - 2 * bar, bar, bar), (0, y, top - bar / 2), material, 0.0015), "y")
        mirrored(board((bar, depth - 2 * bar, bar), (x, 0, top - bar / 2), material, 0.0015), "x")


def coffee_table_oval() -> None:
    """Oval walnut coffee table on four splayed, tapered legs: 1.20 x 0.65 m, 0.42 m high."""
    walnut = wood("walnut", tone=0.85)
    panel(ellipse(1.20, 0.65), 0.012, (0, 0, 0.414), walnut, 0.004)
    lathe(
        [(0, 0), (0.56, 0), (0.575, 0.002), (0.597, 0.0145), (0, 0.0145)],
        (0, 0, 0.3940),
        walnut,
        smooth=False,
        sides=128,
    ).matrix_basis @= Matrix.Diagonal((1, 0.65 / 1.20, 1, 1))
    mirrored(leg((0.34, 0.155, 0.394), (0.43, 0.215, 0), 0.044, 0.022, walnut), "xy")
    mirrored(board((0.03, 0.30, 0.045), (0.345, 0, 0.371), walnut, 0.004))
    board((0.67, 0.03, 0.045), (0, 0, 0.371), walnut, 0.004)


def coffee_table_glass() -> None:
    """Glass coffee table on a brass frame, smoked glass shelf below: 1.10 x 0.60 m, 0.43 m high."""
    brass = metal("brass", roughness=0.26)
    frame(1.10, 0.60, 0.418, 0.02, brass, (0.418, 0.15))
    panel(rounded(1.10, 0.60, 0.012), 0.010, (0, 0, 0.4255), glass("#e3f3ec"), 0.0015)
    panel(rounded(1.058, 0.558, 0.004), 0.008, (0, 0, 0.1545), glass("#77807e"), 0.001)
    for x in (-0.25, 0.25):
        board((0.012, 0.56, 0.012), (x, 0, 0.144), brass, 0.001)
    mirrored(cylinder(0.008, 0.003, (0.54, 0.29, 0.4193), metal("black"), 0.0005), "xy")


def round_table(
    radius: float, height: float, at: Point, stone: bpy.types.Material, steel: bpy.types.Material
) -> None:
    """A round stone top on a steel ring and three slightly splayed round legs."""
    made = [cylinder(radius, 0.018, (0, 0, height - 0.009), stone, 0.004)]
    ring = radius - 0.035
    made.append(
        tube(
            [
                (
                    ring * math.cos(i * math.pi / 18),
                    ring * math.sin(i * math.pi / 18),
                    height - 0.024,
                )
                for i in range(36)
            ],
            0.006,
            steel,
            closed=True,
        )
    )
    for angle in (90, 210, 330):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        made.append(
            rod(
                (ring * c, ring * s, height - 0.024),
                ((radius - 0.02) * c, (radius - 0.02) * s, 0.006),
                0.008,
                steel,
            )
        )
        made.append(
            cylinder(0.010, 0.008, ((radius - 0.02) * c, (radius - 0.02) * s, 0.004), steel, 0.001)
        )
        made.append(rod((ring * c, ring * s, height - 0.025), (0, 0, height - 0.025), 0.005, steel))
    place(made, at)


def nesting_tables() -> None:
    """Two round nesting tables, marble on black steel: 0.64 m wide 0.47 m high, and 0.48 m wide 0.38 m high."""
    stone, steel = marble(scale=2.4), metal("black")
    round_table(0.32, 0.47, (0, 0, 0), stone, steel)
    round_table(0.24, 0.38, (-0.05, -0.335, 0), marble(scale=3.1), steel)


def end_table() -> None:
    """White end table with a lower shelf: 0.48 x 0.48 m, 0.55 m high."""
    white = painted("#e3e0d8")
    panel(rounded(0.48, 0.48, 0.012), 0.022, (0, 0, 0.539), white, 0.004)
    mirrored(
        leg(
            (0.195, 0.195, 0.528), (0.195, 0.195, 0), 0.042, 0.034, white, round_=False, bevel=0.003
        ),
        "xy",
    )
    mirrored(board((0.35, 0.018, 0.07), (0, 0.2, 0.493), white, 0.002), "y")
    mirrored(board((0.018, 0.35, 0.07), (0.2, 0, 0.493), white, 0.002), "x")
    board((0.352, 0.398, 0.018), (0, 0, 0.17), white, 0.003)
    mirrored(board((0.018, 0.355, 0.018), (0.1855, 0, 0.17), white, 0.003), "x")
    mirrored(board((0.36, 0.014, 0.03), (0, 0.188, 0.147), white, 0.002), "y")


def console() -> None:
    """Narrow console table, black steel frame with oak top and shelf: 1.10 x 0.30 m, 0.80 m high."""
    oak, steel = wood("oak"), metal("black")
    frame(1.10, 0.30, 0.776, 0.02, steel, (0.776, 0.18))
    board((1.12, 0.32, 0.024), (0, 0, 0.788), oak, 0.003)
    board((1.056, 0.256, 0.018), (0, 0, 0.1905), oak, 0.002)
    board((1.06, 0.02, 0.02), (0, 0, 0.1715), steel, 0.001)
    mirrored(cylinder(0.011, 0.006, (0.54, 0.14, 0.003), metal("black", "#0d0d0d"), 0.001), "xy")


def nightstand() -> None:
    """Walnut bedside table, one drawer over an open compartment: 0.46 x 0.38 m, 0.55 m high."""
    walnut, brass = wood("walnut", tone=0.95), metal("aged brass")
    w, d, t, low, high = 0.46, 0.38, 0.018, 0.17, 0.55
    mirrored(
        board((t, d, high - low), (w / 2 - t / 2, 0, (high + low) / 2), walnut, 0.002, along=2)
    )
    inner = w - 2 * t
    for height in (low + t / 2, high - t / 2):
        board((inner, d - 0.001, t), (0, 0, height), walnut, 0.0015)
    board((inner, d - 0.02, 0.014), (0, 0.01, 0.385), walnut, 0.0015)
    board((inner, 0.008, high - low - 2 * t), (0, d / 2 - 0.012, (high + low) / 2), walnut, 0.001)
    board((inner - 0.006, 0.018, 0.131), (0, -d / 2 + 0.012, 0.4625), walnut, 0.002)
    board((inner - 0.03, 0.30, 0.11), (0, 0.01, 0.46), wood("beech"), 0.001)
    knob((0, -d / 2 + 0.003, 0.4625), brass, 0.014)
    mirrored(leg((0.175, 0.135, low), (0.205, 0.165, 0), 0.036, 0.02, walnut), "xy")
    mirrored(board((0.35, 0.022, 0.03), (0, 0.135, low - 0.015), walnut, 0.002), "y")


ITEMS = {
    "coffee-table-oval": (
        coffee_table_oval,
        {"background": "warm", "azimuth": 26, "elevation": 18},
    ),
    "coffee-table-glass": (
        coffee_table_glass,
        {"background": "grey", "azimuth": -30, "elevation": 18},
    ),
    "nesting-tables": (
        nesting_tables,
        {"background": "cream", "azimuth": 22, "elevation": 17, "gap": 0.5},
    ),
    "end-table-shelf": (end_table, {"background": "green", "azimuth": -30, "elevation": 14}),
    "console-narrow": (
        console,
        {
            "background": "concrete",
            "azimuth": -14,
            "elevation": 11,
            "gap": 0.02,
            "zoom": 0.95,
            "exposure": 0.2,
        },
    ),
    "nightstand-walnut": (
        nightstand,
        {
            "background": "beige",
            "azimuth": 27,
            "elevation": 13,
            "gap": 0.05,
            "exposure": 0.15,
            "zoom": 0.95,
        },
    ),
}
