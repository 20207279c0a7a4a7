"""Large tables and folding ones: desks, dining tables, a tray table open and folded."""

from collections.abc import Sequence

import bpy
from mathutils import Matrix, Vector

from .materials import painted, wood
from .parts import board, cylinder, lathe, leg, panel, rounded
from .studio import item_points
from .surfaces import glow, marble, metal, plastic
from .sweeps import mirrored, place, rod
from .tables import knob


def desk_drawers() -> None:
    """Oak writing desk with two drawers and brass knobs: 1.20 x 0.58 m, 0.75 m high."""
    oak, brass, dark = wood("oak", tone=0.8), metal("brass"), painted("#2a2019", 0.8)
    panel(rounded(1.20, 0.58, 0.012), 0.024, (0, 0, 0.738), oak, 0.004)
    mirrored(leg((0.545, 0.235, 0.726), (0.565, 0.25, 0), 0.05, 0.028, oak, round_=False), "xy")
    board((1.045, 0.02, 0.13), (0, 0.245, 0.661), oak, 0.003)
    mirrored(board((0.02, 0.43, 0.13), (0.555, 0, 0.661), oak, 0.003))
    board((1.05, 0.44, 0.105), (0, 0.005, 0.667), dark, 0.001)
    for height, thick in ((0.719, 0.014), (0.605, 0.018)):
        board((1.045, 0.022, thick), (0, -0.243, height), oak, 0.002)
    board((0.022, 0.022, 0.096), (0, -0.243, 0.663), oak, 0.0015, along=2)
    mirrored(board((0.014, 0.022, 0.096), (0.514, -0.243, 0.663), oak, 0.0015, along=2))
    for x in (-0.259, 0.259):
        board((0.490, 0.02, 0.092), (x, -0.2435, 0.663), oak, 0.002)
        for side in (-0.11, 0.11):
            knob((x + side, -0.2535, 0.663), brass, 0.012)


def desk_standing() -> None:
    """Standing desk, raised: white T-legs, oak top, control panel; 1.40 x 0.70 m, 1.10 m high."""
    white, oak, black = metal("white"), wood("oak"), plastic("#1c1c1d", 0.4)
    panel(rounded(1.40, 0.70, 0.03), 0.025, (0, 0, 1.0875), oak, 0.003)
    made = [
        panel(rounded(0.075, 0.64, 0.012), 0.022, (0.5, 0, 0.023), white, 0.004),
        board((0.10, 0.10, 0.006), (0.5, 0.03, 0.037), white, 0.002),
        board((0.088, 0.058, 0.53), (0.5, 0.03, 0.305), white, 0.006),
        board((0.092, 0.062, 0.012), (0.5, 0.03, 0.566), plastic("#d9d8d4"), 0.003),
        board((0.078, 0.048, 0.42), (0.5, 0.03, 0.76), white, 0.005),
        board((0.068, 0.038, 0.13), (0.5, 0.03, 0.97), white, 0.004),
        board((0.045, 0.56, 0.035), (0.5, 0.0, 1.0575), white, 0.003),
    ]
    made += [cylinder(0.018, 0.012, (0.5, y, 0.006), black, 0.002) for y in (-0.29, 0.29)]
    mirrored(made)
    mirrored(board((1.0, 0.03, 0.045), (0, 0.065, 1.052), white, 0.003), "y")
    board((0.36, 0.10, 0.05), (-0.05, 0.01, 1.045), white, 0.006)
    board((0.125, 0.055, 0.018), (0.5, -0.327, 1.066), black, 0.003)
    board((0.125, 0.018, 0.024), (0.5, -0.353, 1.063), black, 0.005)
    board((0.024, 0.001, 0.012), (0.478, -0.3622, 1.063), glow("#bfe6ff", 3.0), 0.0004)
    for i in range(4):
        cylinder(
            0.0042,
            0.002,
            (0.504 + 0.0125 * i, -0.3624, 1.063),
            plastic("#d8d8d6"),
            0.0006,
            turn=(90, 0, 0),
        )
    rod((0.44, -0.32, 1.064), (0.10, -0.02, 1.05), 0.0025, black)


def turned_leg(
    x: float, y: float, height: float, material: bpy.types.Material
) -> list[bpy.types.Object]:
    """A farmhouse leg: square block above, turned below."""
    profile = [
        (0.036, 0),
        (0.036, 0.0),
        (0.034, 0.008),
        (0.024, 0.024),
        (0.023, 0.03),
        (0.033, 0.052),
        (0.035, 0.065),
        (0.029, 0.086),
        (0.0255, 0.096),
        (0.025, 0.105),
        (0.029, 0.16),
        (0.037, 0.28),
        (0.042, 0.40),
        (0.0415, 0.45),
        (0.036, 0.49),
        (0.029, 0.508),
        (0.028, 0.514),
        (0.036, 0.526),
        (0.0385, 0.536),
        (0.036, 0.546),
        (0.029, 0.556),
        (0.030, 0.562),
        (0.039, 0.574),
        (0.0415, 0.583),
        (0.041, 0.59),
    ]
    return [
        lathe([(0, 0), (0.03, 0), *profile[2:], (0.03, 0.592)], (x, y, 0), material, sides=56),
        board((0.088, 0.088, height - 0.586), (x, y, (height + 0.586) / 2), material, 0.004),
    ]


def farmhouse_table() -> None:
    """Pine farmhouse table with breadboard ends and turned white legs: 1.80 x 0.90 m, 0.76 m high."""
    pine, white = wood("pine", tone=0.72), painted("#efece4", 0.5)
    width = 0.90 / 6
    for i in range(6):
        plank = board(
            (1.60, width - 0.0016, 0.036), (0, -0.45 + width * (i + 0.5), 0.742), pine, 0.003
        )
        tint = plank.data.attributes.new("tint", "FLOAT", "POINT").data
        tint.foreach_set("value", [(-0.10, 0.07, -0.02, -0.14, 0.05, -0.06)[i]] * len(tint))
    mirrored(board((0.098, 0.904, 0.036), (0.850, 0, 0.742), pine, 0.004))
    mirrored(turned_leg(0.77, 0.345, 0.724, white), "xy")
    mirrored(board((1.46, 0.022, 0.10), (0, 0.368, 0.674), white, 0.003), "y")
    mirrored(board((0.022, 0.61, 0.10), (0.793, 0, 0.674), white, 0.003), "x")


def tulip_table() -> None:
    """Round marble dining table on a white tulip pedestal: 1.10 m wide, 0.74 m high."""
    lathe(
        [
            (0, 0),
            (0.475, 0),
            (0.50, 0.003),
            (0.546, 0.013),
            (0.55, 0.0165),
            (0.55, 0.0185),
            (0.546, 0.021),
            (0.538, 0.022),
            (0, 0.022),
        ],
        (0, 0, 0.718),
        marble(scale=1.5),
        smooth=False,
        sides=160,
    )
    lacquer = painted("#f1f0ec", 0.2)
    lathe(
        [
            (0, 0.0005),
            (0.235, 0.0005),
            (0.2485, 0.002),
            (0.25, 0.0055),
            (0.246, 0.010),
            (0.222, 0.0165),
            (0.17, 0.029),
            (0.115, 0.052),
            (0.075, 0.092),
            (0.054, 0.15),
            (0.0445, 0.23),
            (0.042, 0.32),
            (0.0455, 0.42),
            (0.055, 0.51),
            (0.073, 0.59),
            (0.10, 0.65),
            (0.135, 0.69),
            (0.17, 0.71),
            (0.182, 0.717),
            (0.182, 0.719),
            (0, 0.719),
        ],
        (0, 0, 0),
        lacquer,
        sides=128,
    )


def tray(beech: bpy.types.Material) -> list[bpy.types.Object]:
    """A tray in the xy plane with rims and two hand grips; its underside lies at z=0."""
    made = [board((0.574, 0.374, 0.008), (0, 0, 0.012), beech, 0.001)]
    rim = board((0.60, 0.013, 0.045), (0, 0.1935, 0.0225), beech, 0.004)
    made += [rim, *mirrored(rim, "y")]
    end = [
        board((0.013, 0.374, 0.033), (0.2935, 0, 0.0165), beech, 0.003),
        board((0.013, 0.115, 0.024), (0.2935, 0.1295, 0.042), beech, 0.004),
        board((0.013, 0.115, 0.024), (0.2935, -0.1295, 0.042), beech, 0.004),
        board((0.013, 0.374, 0.018), (0.2935, 0, 0.060), beech, 0.005),
    ]
    made += end + mirrored(end)
    cleat = board((0.56, 0.02, 0.014), (0, 0.115, 0.001), beech, 0.002)
    return [*made, cleat, *mirrored(cleat, "y")]


def tray_legs(
    half: float,
    length: float,
    beech: bpy.types.Material,
    steel: bpy.types.Material,
    bars: Sequence[float],
) -> list[bpy.types.Object]:
    """A flat frame of two rails in the yz plane (centre at 0) with round bars across and pivot bolts."""
    rail = panel(
        rounded(0.032, length, 0.0155), 0.018, (0, half, 0), beech, 0.003, turn=(90, 0, 0), along=1
    )
    made = [rail, *mirrored(rail, "y")]
    made += [rod((0, -half, z), (0, half, z), 0.0095, beech) for z in bars]
    bolt = cylinder(0.007, 0.004, (0, half + 0.0105, 0), steel, 0.001, turn=(90, 0, 0))
    return [*made, bolt, *mirrored(bolt, "y")]


def tray_open() -> None:
    """Beech folding tray table on X-legs, open: 0.60 x 0.40 m, 0.68 m high."""
    beech, steel = wood("beech", tone=0.85), metal("brushed steel")
    place(tray(beech), (0, 0, 0.60))
    for half, turn in ((0.165, 38.0), (0.143, -38.0)):
        place(tray_legs(half, 0.76, beech, steel, (-0.25, 0.362)), (0, 0, 0.294), (0, turn, 0))
    _settle()


def tray_folded() -> None:
    """The same table folded flat, tray to the front, leaning against the wall: 0.40 m wide, 0.76 m tall."""
    beech, steel = wood("beech", tone=0.85), metal("brushed steel")
    made = tray(beech)
    place(made, (0, 0, 0.06), (0, -90, 0))
    place(made, (-0.024, 0, 0.0))
    for half in (0.165, 0.143):
        made += (legs := tray_legs(half, 0.76, beech, steel, (-0.25, 0.362)))
        place(legs, (0, 0, -0.02))
    place(made, turn=(0, 0, 90))
    place(made, turn=(-11, 0, 0))
    _settle()


def _settle() -> None:
    """Lower or raise everything so that it stands on the floor."""
    bpy.context.view_layer.update()
    low = float(item_points()[:, 2].min())
    for thing in bpy.context.scene.objects:
        thing.matrix_basis = Matrix.Translation(Vector((0, 0, -low))) @ thing.matrix_basis


ITEMS = {
    "desk-drawers": (desk_drawers, {"background": "white", "azimuth": 26, "elevation": 12}),
    "desk-standing": (desk_standing, {"background": "beige", "azimuth": -28, "elevation": 13}),
    "dining-table-farmhouse": (
        farmhouse_table,
        {"background": "blue", "azimuth": 30, "elevation": 17, "gap": 0.6},
    ),
    "dining-table-tulip": (
        tulip_table,
        {
            "background": "green",
            "azimuth": 0,
            "elevation": 15,
            "gap": 0.5,
            "zoom": 0.95,
            "exposure": -0.1,
        },
    ),
    "folding-tray-open": (tray_open, {"background": "grey", "azimuth": -26, "elevation": 15}),
    "folding-tray-folded": (
        tray_folded,
        {"background": "beige", "azimuth": 28, "elevation": 11, "gap": 0.0},
    ),
}
