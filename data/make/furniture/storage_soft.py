"""Storage with woven and soft parts: a towel rack, baskets, a folding screen."""

import itertools
import math

import bpy
from mathutils import Matrix

from .materials import Colour, Graph, fabric, painted, rgba, wood
from .parts import board, cylinder
from .storage_parts import rope
from .surfaces import metal
from .sweeps import copy, mirrored, place, rod, sheet, tube


def cane(colour: Colour = "#a9824f", pitch: float = 0.015) -> bpy.types.Material:
    """Cane webbing with open holes, for a sheet in its local xz plane."""
    g = Graph("cane webbing")
    axes = g.add("SeparateXYZ", {0: g.coords((1 / pitch,) * 3)}).node.outputs
    x, z = axes[0], axes[2]

    def strand(value, offset: float, wide: float):
        away = g.math("PINGPONG", g.math("ADD", value, offset + 100.0), 0.5)
        return g.math("LESS_THAN", away, wide / 2)

    upright = g.math("MAXIMUM", strand(x, 0.12, 0.17), strand(x, -0.12, 0.17))
    level = g.math("MAXIMUM", strand(z, 0.12, 0.17), strand(z, -0.12, 0.17))
    slanted = g.math(
        "MAXIMUM", strand(g.math("ADD", x, z), 0.5, 0.2), strand(g.math("SUBTRACT", x, z), 0.5, 0.2)
    )
    there = g.math("MAXIMUM", g.math("MAXIMUM", upright, level), slanted)
    tone = g.mix(g.noise(g.coords(), 30.0, 4.0), rgba(colour, 0.75), rgba(colour, 1.2))
    tone = g.mix(g.math("MULTIPLY", upright, 0.25), tone, rgba(colour, 1.35))
    g.principled(Base_Color=tone, Roughness=0.5, Alpha=there)
    g.bump(g.math("ADD", upright, g.math("MULTIPLY", level, 0.5)), 0.0008, 0.6)
    return g.material


def seagrass(colour: Colour) -> bpy.types.Material:
    """Twisted grass strands: dull, streaked along the strand, each row and stretch in its own tone."""
    g = Graph("seagrass")
    raw = g.add("Attribute", out="Vector", attribute_name="grain")
    random = g.add("ObjectInfo", out="Random")
    raw = g.add(
        "VectorMath",
        {0: raw, 1: g.add("CombineXYZ", {0: g.math("MULTIPLY", random, 40.0)})},
        operation="ADD",
    )

    def streaks(along: float, across: float, detail: float = 2.0):
        return g.noise(
            g.add("VectorMath", {0: raw, 1: (along, across, across)}, operation="MULTIPLY"),
            1.0,
            detail,
        )

    blades = g.add("MapRange", {0: streaks(28, 420), 1: 0.34, 2: 0.66})
    stretch = g.add("MapRange", {0: streaks(9, 2, 1.0), 1: 0.3, 2: 0.7, 3: 0.72, 4: 1.12})
    base = g.mix(blades, rgba(colour, 0.5), rgba(colour, 1.3))
    value = g.math("MULTIPLY", stretch, g.math("MULTIPLY_ADD", random, 0.22, 0.89))
    hue = g.math("MULTIPLY_ADD", random, 0.012, 0.496)
    g.principled(
        Base_Color=g.add(
            "HueSaturation", {"Color": base, "Value": value, "Hue": hue, "Saturation": 0.95}
        ),
        Roughness=0.72,
        Specular_IOR_Level=0.25,
    )
    g.bump(blades, 0.0014, 0.8)
    return g.material


def towel_rack() -> None:
    """Black steel towel rack with a folded white towel, 0.50 x 0.24 x 0.92 m."""
    black, terry = metal("black"), fabric("#d9d7d2", weave=0.0032, melange=0.12, bump=1.6)
    w, front, back = 0.25, -0.11, 0.11
    for y, high in ((front, 0.74), (back, 0.92)):
        tube([(-w, y, 0.006), (-w, y, high), (w, y, high), (w, y, 0.006)], 0.009, black, bend=0.05)
        for side in (-1, 1):
            cylinder(0.0115, 0.014, (side * w, y, 0.007), painted("#161616", 0.7), 0.002)
    for z in (0.13, 0.56):
        mirrored(rod((w, front, z), (w, back, z), 0.007, black))
    for y, z in ((front, 0.30), (back, 0.30), (back, 0.60)):
        rod((-w, y, z), (w, y, z), 0.007, black)

    def towel(
        left: float, wide: float, reach: tuple[float, float], bar: tuple[float, float], gap: float
    ):
        """One towel folded in half lengthwise, hung over a bar at (y, z)."""
        arc, run = math.pi * 0.012, reach[0] + reach[1] + math.pi * 0.012

        def shape(u: float, v: float) -> tuple[float, float, float]:
            s, turn = u * (2 * wide + math.pi * gap / 2), math.pi * gap / 2
            x, off = (
                (s, 0.0)
                if s < wide
                else (
                    wide + gap / 2 * math.sin((s - wide) / turn * math.pi),
                    gap / 2 * (1 - math.cos((s - wide) / turn * math.pi)),
                )
                if s < wide + turn
                else (2 * wide + turn - s, gap)
            )
            radius, p = 0.0125 + gap - off, v * run - reach[0]
            drop = -p if p < 0 else max(0.0, p - arc)
            wave = 0.0022 * math.sin(x * 21 + drop * 3) * min(1.0, drop * 6) + 0.002 * math.sin(
                x * 9 + 1 + drop * 8
            )
            hang = drop * (1 + 0.012 * (u - 0.5)) + 0.004 * math.sin(x * 14) * drop
            if 0 <= p <= arc:
                a = math.pi * p / arc
                return left + x, bar[0] - radius * math.cos(a), bar[1] + radius * math.sin(a)
            side = -1 if p < 0 else 1
            return (
                left + x + 0.006 * drop * (1 if x > wide / 2 else -1),
                bar[0] + side * (radius + wave),
                bar[1] - hang,
            )

        sheet(shape, 0.0055, terry, steps=150)
        for level in (0.055, 0.067):
            tube(
                [
                    (
                        shape(i / 60, level / run)[0],
                        shape(i / 60, level / run)[1] - 0.0032,
                        shape(i / 60, level / run)[2],
                    )
                    for i in range(1, 29)
                ],
                0.0011,
                fabric("#bdb9b1", 0.002, 0.1),
            )

    towel(-0.17, 0.33, (0.43, 0.36), (front, 0.74), 0.0075)


def baskets_set() -> None:
    """Two round seagrass baskets with rope handles, 0.42 and 0.32 m wide."""
    cane, stripe = seagrass("#9c7c4b"), seagrass("#5a4128")
    inside = painted("#4a3923", 0.9)

    def basket(
        radius: float, height: float, stakes: int, dark: tuple[int, int], turn: float
    ) -> list:
        def wide(z: float) -> float:
            return radius * (0.86 + 0.14 * math.sin(math.pi * (0.08 + 0.62 * z / height)))

        ring = [
            (radius * math.cos(a), radius * math.sin(a))
            for a in (2 * math.pi * i / (stakes * 2) for i in range(stakes * 2))
        ]
        wave = [
            (x * k, y * k, 0)
            for i, (x, y) in enumerate(ring)
            for k in (1 + 0.0042 / radius * (0, 1, 0, -1)[i % 4],)
        ]
        strands = [tube(wave, 0.0066, m, closed=True, flat=1.05) for m in (cane, stripe)]
        things, rows = [], round(height / 0.0118)
        for row in range(rows):
            z = 0.007 + row * 0.0118
            turned = Matrix.Rotation(
                2 * math.pi / stakes * (row % 2) + 4 * math.pi / stakes * ((row * 7) % stakes),
                4,
                "Z",
            )
            tilt = Matrix.Rotation(0.004 * math.sin(row * 2.3), 4, "X")
            size = wide(z) / radius
            strand = strands[dark[0] <= row < dark[1]]
            things.append(
                copy(
                    strand,
                    Matrix.Translation((0, 0, z))
                    @ tilt
                    @ turned
                    @ Matrix.Diagonal((size, size, 1, 1)),
                )
            )
        things.append(
            sheet(
                lambda u, v: (
                    *(wide(v * height) * 0.985 * f(2 * math.pi * u) for f in (math.cos, math.sin)),
                    v * height,
                ),
                0.0,
                inside,
                steps=64,
            )
        )
        things.append(cylinder(wide(0) * 0.985, 0.006, (0, 0, 0.008), cane, 0.001))
        top = wide(height)
        things += rope(
            [
                (top * math.cos(a), top * math.sin(a), height + 0.003)
                for a in (2 * math.pi * i / 24 for i in range(24))
            ],
            0.0072,
            round(top * 100),
            cane,
            closed=True,
        )
        for side in (-1, 1):
            arch = [
                (-0.075, -0.05),
                (-0.07, 0.01),
                (-0.05, 0.045),
                (0, 0.062),
                (0.05, 0.045),
                (0.07, 0.01),
                (0.075, -0.05),
            ]
            things += rope(
                [
                    (side * (top + 0.009 + 0.05 * max(z, 0) - (z < 0) * 0.004), y, height + z)
                    for y, z in arch
                ],
                0.0062,
                11,
                cane,
            )
        place(things, turn=(0, 0, turn))
        for strand in strands:
            bpy.data.objects.remove(strand)
        return things

    place(basket(0.21, 0.36, 36, (19, 25), -35), (-0.15, 0.08, 0))
    place(basket(0.16, 0.25, 28, (0, 0), 20), (0.25, -0.13, 0))


def screen_folding() -> None:
    """Three-panel folding screen, ash frames with cane webbing, about 1.35 x 1.70 m."""
    ash, webbing, brass = wood("ash"), cane(), metal("aged brass")
    hinges = [(-0.62, 0.15), (-0.21, -0.15), (0.21, 0.15), (0.62, -0.15)]
    for (x1, y1), (x2, y2) in itertools.pairwise(hinges):
        wide, high, stile, thick = math.hypot(x2 - x1, y2 - y1) - 0.024, 1.70, 0.034, 0.024
        inner = wide - 2 * stile
        parts = [
            board((stile, thick, high), (s * (wide - stile) / 2, 0, high / 2), ash, 0.003)
            for s in (-1, 1)
        ]
        for low, top in ((0.10, 0.15), (0.60, 0.635), (high - 0.055, high - 0.01)):
            parts.append(
                board(
                    (inner + 0.004, thick - 0.004, top - low), (0, 0, (low + top) / 2), ash, 0.002
                )
            )
        for low, top in ((0.15, 0.60), (0.635, high - 0.055)):
            middle = (low + top) / 2
            shape = lambda u, v, tall=top - low: (
                (u - 0.5) * (inner + 0.01),
                0.0,
                (v - 0.5) * (tall + 0.01),
            )
            web = sheet(shape, 0.0, webbing, steps=2)
            web.location.z = middle
            parts.append(web)
            for side in (-1, 1):
                parts.append(
                    board(
                        (0.007, 0.011, top - low),
                        (side * (inner / 2 - 0.003), 0, middle),
                        ash,
                        0.002,
                    )
                )
                parts.append(
                    board(
                        (inner, 0.011, 0.007),
                        (0, 0, middle + side * ((top - low) / 2 - 0.003)),
                        ash,
                        0.002,
                    )
                )
        for s in (-1, 1):
            parts.append(
                cylinder(
                    0.008, 0.004, (s * (wide - stile) / 2, 0, 0.0), painted("#3a2f28", 0.8), 0.001
                )
            )
        place(
            parts,
            ((x1 + x2) / 2, (y1 + y2) / 2, 0.002),
            (0, 0, math.degrees(math.atan2(y2 - y1, x2 - x1))),
        )
    for (x, y), way in zip(hinges[1:-1], (-1, 1), strict=False):
        for z in (0.25, 0.85, 1.45):
            cylinder(0.0042, 0.075, (x, y + way * 0.012, z), brass, 0.001)
            for side in (-1, 1):
                board(
                    (0.016, 0.0016, 0.07),
                    (x + side * 0.0095, y + way * (0.0125 - 0.0045), z),
                    brass,
                    0.0005,
                    turn=(0, 0, -side * way * 36.0),
                )


ITEMS = {
    "towel-rack": (
        towel_rack,
        {"background": "green", "azimuth": -30, "elevation": 11, "gap": 0.35},
    ),
    "baskets-set": (baskets_set, {"background": "white", "azimuth": 18, "elevation": 20}),
    "screen-folding": (
        screen_folding,
        {"background": "grey", "azimuth": 14, "elevation": 11, "zoom": 1.04},
    ),
}
