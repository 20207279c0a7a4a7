"""Rocking chair, upholstered seats, gaming chair and doormat."""

import itertools
import math

from .materials import Graph, fabric, leather, rgba, velvet, wood
from .parts import Point, board, cylinder, lathe, leg, panel, rounded, spline
from .seats_shapes import bar, crumple, evenly, fibres, ring, sawn, winged_back
from .soft import cushion
from .surfaces import metal, plastic
from .sweeps import around, mirrored, place, sheet, tube


def rocking_chair() -> None:
    """Beech rocking chair with slatted seat and back on curved runners: 1.08 m high."""
    beech, arc = wood("beech"), 1.15
    angles = [math.radians(-24 + 6.6 * i) for i in range(9)]
    runner = sawn(
        [(0.06 + (arc - 0.022) * math.sin(a), arc - (arc - 0.022) * math.cos(a)) for a in angles],
        0.044,
        0.03,
        0.265,
        beech,
        bevel=0.006,
    )
    curve = [(0.205, 0.03), (0.212, 0.36), (0.262, 0.62), (0.345, 0.86), (0.425, 1.07)]
    post = sawn(curve, 0.042, 0.027, 0.265, beech, 0.03, bevel=0.006)
    front = leg((0.265, -0.235, 0.625), (0.265, -0.225, 0.06), 0.030, 0.036, beech)
    rail = board((0.024, 0.45, 0.05), (0.265, -0.01, 0.392), beech, 0.005, (-4, 0, 0))
    low = bar((0.265, -0.225, 0.215), (0.265, 0.21, 0.20), 0.010, beech)
    shape = spline([(0.052, -0.31), (0.05, -0.22), (0.03, 0.0), (0.024, 0.285)], 8)
    inner = spline(
        [(-0.022, 0.285), (-0.026, 0.0), (-0.042, -0.22), (-0.038, -0.31), (0.0, -0.335)], 8
    )
    arm = panel(
        [(p.x, p.y) for p in shape] + [(p.x, p.y) for p in inner],
        0.024,
        (0.268, 0, 0.643),
        beech,
        0.007,
        (3.5, 0, 0),
        1,
    )
    mirrored([runner, post, front, rail, low, arm])
    for y, z, tall in ((-0.232, 0.405, 0.055), (0.208, 0.385, 0.05)):
        board((0.51, 0.022, tall), (0, y, z), beech, 0.005)
    bar((-0.265, -0.226, 0.17), (0.265, -0.226, 0.17), 0.0115, beech)
    bar((-0.265, 0.208, 0.17), (0.265, 0.208, 0.17), 0.0115, beech)
    for i in range(8):
        y = -0.238 + 0.0585 * i
        z = (
            0.4345
            - 0.07 * (y + 0.238)
            + 0.30 * (max(0.0, y + 0.02)) ** 2
            - 0.25 * max(0.0, -0.19 - y)
        )
        board(
            (0.50, 0.047, 0.016),
            (0, y, z),
            beech,
            0.005,
            (-4 + 40 * max(0.0, y) + (9 if i == 0 else 0), 0, 0),
        )
    line = [p.xy for p in spline([(y, z, 0) for y, z in curve], 8)]

    def on_post(z: float) -> float:
        """Depth of the back posts' middle at height z."""
        one, two = next((a, b) for a, b in itertools.pairwise(line) if b.y >= z)
        return one.x + (two.x - one.x) * (z - one.y) / (two.y - one.y)

    for i in range(7):
        x = -0.192 + 0.064 * i
        dip = 0.018 * (1 - (x / 0.25) ** 2)
        sawn(
            [(on_post(z) + dip, z) for z in (0.475, 0.60, 0.72, 0.85, 0.985)],
            0.011,
            0.034,
            x,
            beech,
            bevel=0.004,
        )
    for z, tall, arch in ((0.475, 0.048, 0.0), (1.0, 0.10, 0.022)):
        sheet(
            lambda u, v: (
                0.258 * (2 * u - 1),
                on_post(z + (v - 0.5) * tall) + 0.018 * (1 - (2 * u - 1) ** 2),
                z + (v - 0.5) * tall + v * arch * (1 - (2 * u - 1) ** 2),
            ),
            0.022,
            beech,
        )


def tufted_bench() -> None:
    """Bench with a diamond-tufted beige top on slim gold legs: 1.20 m wide, 0.47 m high."""
    cloth, gold = fabric("#a08f75", 0.0026, 0.3), metal("brass")
    long, deep, low, high = 1.20, 0.42, 0.375, 0.098
    cell_x, cell_y = 0.20, 0.155

    def top(u: float, v: float) -> Point:
        s, t = (math.sin((2 * w - 1) * math.pi / 2) * 0.35 + (2 * w - 1) * 0.65 for w in (u, v))
        x, y = s * long / 2, t * deep / 2
        p, q = x / cell_x + y / cell_y, x / cell_x - y / cell_y
        a, b = abs(math.sin(math.pi * p)), abs(math.sin(math.pi * q))
        puff = 0.5 * (a * b) ** 0.3 + 0.5 * math.sqrt((a * a + b * b) / 2) ** 0.6
        edge = min((deep / 2 - abs(y)) / 0.05, (long / 2 - abs(x)) / 0.07, 1.0)
        puff = 1 - (1 - puff) * (edge * edge * (3 - 2 * edge)) ** 0.8
        drop = math.sqrt(max(0.0, 1 - abs(s) ** 26)) * math.sqrt(max(0.0, 1 - abs(t) ** 12))
        return x, y, low + drop * (high - 0.030 * (1 - puff) + 0.006 * (1 - s * s) * (1 - t * t))

    sheet(top, 0.0, cloth, 230)
    for i in range(-6, 7):
        for j in (-1, 0, 1):
            x, y = i * cell_x / 2, j * cell_y / 2
            if (i + j) % 2 == 0 and abs(x) < 0.57:
                lathe(
                    [(0, 0.007), (0.007, 0.005), (0.011, 0), (0.008, -0.004)],
                    (x, y, low + high - 0.0135 - 0.10 * y * y),
                    cloth,
                    sides=24,
                )
    cushion(
        (long + 0.004, deep + 0.004, 0.085), (0, 0, 0.338), cloth, 0.0, 0.012, 0.0012, detail=60
    )
    tube(
        evenly(rounded(long + 0.006, deep + 0.006, 0.03, 4), 0.381, 0.012),
        0.0045,
        cloth,
        closed=True,
    )
    mirrored(
        [
            bar((0.50, -0.15, 0.29), (0.55, -0.19, 0.006), 0.0115, gold, 0.007),
            cylinder(0.009, 0.008, (0.5505, -0.1904, 0.004), plastic("#201c18"), 0.001),
            cylinder(0.024, 0.006, (0.5, -0.15, 0.292), gold, 0.001),
        ],
        "xy",
    )
    mirrored(bar((0.516, -0.163, 0.20), (0.516, 0.163, 0.20), 0.005, gold))


def pink_ottoman() -> None:
    """Round velvet pouf with piping and six seams: 0.52 m across, 0.43 m high."""
    cloth = velvet("#a5686c")
    body = lathe(
        [
            (0, 0.028),
            (0.2, 0.028),
            (0.238, 0.034),
            (0.251, 0.08),
            (0.257, 0.20),
            (0.254, 0.31),
            (0.245, 0.38),
            (0.236, 0.39),
        ],
        (0, 0, 0),
        cloth,
        sides=240,
    )
    for vert in body.data.vertices:
        off = (math.atan2(vert.co.y, vert.co.x) / (math.pi / 3) + 0.35) % 1
        off = min(off, 1 - off) * math.pi / 3 * 0.25
        scale = 1 - 0.014 * math.exp(-((off / 0.005) ** 2)) - 0.014 * math.exp(-((off / 0.03) ** 2))
        vert.co.x, vert.co.y = vert.co.x * scale, vert.co.y * scale
    crumple(body, 0.004, 0.11, 3)
    crumple(
        lathe(
            [
                (0.236, 0.385),
                (0.242, 0.395),
                (0.236, 0.412),
                (0.20, 0.426),
                (0.12, 0.434),
                (0, 0.436),
            ],
            (0, 0, 0),
            cloth,
            sides=160,
        ),
        0.0035,
        0.12,
        8,
    )
    for radius, z in ((0.2455, 0.389), (0.243, 0.037)):
        tube(ring(radius, z, count=48), 0.005, cloth, closed=True)
    around([cylinder(0.018, 0.03, (0.16, 0.06, 0.015), plastic("#1a1716"), 0.003)], 4)


def gaming_chair() -> None:
    """Black and red gaming chair: winged back, head pillow, armrests, five castors: 1.27 m high."""
    black, red, nylon = leather("#1b1b1d", 0.46), leather("#860f15", 0.46), plastic("#121213", 0.42)
    arm = tube(
        [(0.02, 0, 0.118), (0.12, 0, 0.112), (0.24, 0, 0.094), (0.325, 0, 0.080)],
        0.036,
        nylon,
        flat=0.62,
        end_radius=0.024,
    )
    stripe = tube([(0.10, 0, 0.1335), (0.19, 0, 0.1225), (0.27, 0, 0.108)], 0.008, red, flat=0.4)
    castor = [
        cylinder(0.0285, 0.019, (0.333, y, 0.0285), nylon, 0.006, (90, 0, 0))
        for y in (-0.0165, 0.0165)
    ]
    castor += [
        cylinder(0.017, 0.0025, (0.333, y, 0.0285), red, 0.001, (90, 0, 0))
        for y in (-0.0265, 0.0265)
    ]
    castor += [
        bar((0.315, 0, 0.03), (0.315, 0, 0.085), 0.009, metal("brushed steel")),
        tube(
            [(0.303, 0, 0.040), (0.312, 0, 0.060), (0.338, 0, 0.061), (0.358, 0, 0.046)],
            0.012,
            nylon,
            flat=0.45,
        ),
    ]
    around([arm, stripe, *castor], 5)
    cylinder(0.045, 0.075, (0, 0, 0.115), nylon, 0.012)
    bar((0, 0, 0.13), (0, 0, 0.28), 0.028, nylon)
    bar((0, 0, 0.25), (0, 0, 0.37), 0.016, metal("brushed steel"))
    board((0.20, 0.26, 0.05), (0, 0.0, 0.385), metal("black"), 0.01)
    board((0.42, 0.42, 0.02), (0, 0.0, 0.412), nylon, 0.006)
    bar((0.09, 0.03, 0.385), (0.27, 0.03, 0.375), 0.006, metal("black"))
    bar((0.25, 0.03, 0.376), (0.30, 0.03, 0.373), 0.011, nylon)
    cushion((0.385, 0.50, 0.105), (0, -0.015, 0.463), black, 0.2, 0.045, 0.002, piping=0.0025)
    mirrored(
        cushion(
            (0.10, 0.49, 0.115),
            (0.205, -0.01, 0.474),
            red,
            0.2,
            0.045,
            0.002,
            piping=0.0025,
            turn=(0, -14, 0),
        )
    )
    back = winged_back(black, red)
    place([back], (0, 0.235, 0.475), (-13, 0, 0))
    mirrored(
        [
            board((0.012, 0.16, 0.05), (0.214, 0.205, 0.45), metal("black"), 0.004, (25, 0, 0)),
            board((0.012, 0.05, 0.16), (0.214, 0.262, 0.52), metal("black"), 0.004, (13, 0, 0)),
            cylinder(0.038, 0.024, (0.222, 0.25, 0.475), nylon, 0.006, (0, 90, 0)),
            cylinder(0.017, 0.004, (0.2355, 0.25, 0.475), red, 0.001, (0, 90, 0)),
        ]
    )
    cushion(
        (0.29, 0.165, 0.085),
        (0, 0.305, 1.135),
        red,
        0.4,
        0.035,
        0.003,
        piping=0.003,
        turn=(77, 0, 0),
    )
    rest = panel(rounded(0.095, 0.27, 0.035), 0.034, (0.315, 0.015, 0.672), nylon, 0.012)
    stem = [
        tube(
            [(0.12, 0.03, 0.398), (0.315, 0.03, 0.398), (0.318, 0.03, 0.50)],
            0.019,
            nylon,
            bend=0.05,
            flat=0.7,
        ),
        board((0.034, 0.062, 0.16), (0.318, 0.03, 0.505), nylon, 0.008),
        board((0.024, 0.048, 0.12), (0.318, 0.03, 0.61), metal("black"), 0.005),
        board((0.006, 0.025, 0.04), (0.336, 0.03, 0.55), red, 0.002),
    ]
    mirrored([rest, *stem])


def coir_doormat() -> None:
    """Coir doormat with a dark stripe round the edge, made of single fibres: 0.75 m x 0.45 m."""
    wide, deep = 0.75, 0.45
    g = Graph("coir")
    axes = g.add(
        "SeparateXYZ", {0: g.add("Attribute", out="Vector", attribute_name="root")}
    ).node.outputs
    inset = g.math(
        "MINIMUM",
        g.math("SUBTRACT", wide / 2, g.math("ABSOLUTE", axes[0])),
        g.math("SUBTRACT", deep / 2, g.math("ABSOLUTE", axes[1])),
    )
    band = g.math("LESS_THAN", g.math("ABSOLUTE", g.math("SUBTRACT", inset, 0.05)), 0.0135)
    yarn = g.mix(axes[2], rgba("#6b4a2b"), rgba("#a8825a"))
    dark = g.mix(axes[2], rgba("#17130f"), rgba("#3a3029"))
    g.principled(Base_Color=g.mix(band, yarn, dark), Roughness=0.75, Specular_IOR_Level=0.25)
    fibres(wide, deep, 0.0155, 75000, g.material)
    panel(
        rounded(wide + 0.004, deep + 0.004, 0.004),
        0.006,
        (0, 0, 0.003),
        plastic("#1c1a18", 0.7),
        0.001,
    )


ITEMS = {
    "rocking-chair": (
        rocking_chair,
        {"background": "cream", "azimuth": 36, "elevation": 12, "gap": 0.4},
    ),
    "bench-tufted": (tufted_bench, {"background": "grey", "azimuth": 24, "elevation": 22}),
    "ottoman-pink": (
        pink_ottoman,
        {"background": "warm", "azimuth": 0, "elevation": 15, "zoom": 0.86},
    ),
    "gaming-chair": (
        gaming_chair,
        {"background": "grey", "azimuth": -28, "elevation": 9, "zoom": 1.06},
    ),
    "doormat-coir": (
        coir_doormat,
        {"background": "concrete", "azimuth": 18, "elevation": 38, "gap": 0.5},
    ),
}
