"""Shared parts of storage furniture: carcasses, fronts, knobs, handles, books, vases, plants."""

import math
import random
from collections.abc import Sequence

import bpy
from mathutils import Matrix, Vector

from .materials import WOODS, fabric, painted
from .parts import Point, board, cylinder, lathe, spline
from .studio import item_points
from .surfaces import ceramic
from .sweeps import place, rod, sheet, tube

WOODS.setdefault("bamboo", ("#c99c56", "#a1743a", 0.016, 0.75))
COVERS = (
    "#7d3b32",
    "#2f4858",
    "#c9b891",
    "#e6e0d4",
    "#4f5d4a",
    "#b98a4a",
    "#34343a",
    "#93a3a6",
    "#d8cdbb",
)
Thing = bpy.types.Object


def settle() -> None:
    """Move the whole item so that its lowest point stands on the floor."""
    low = float(item_points()[:, 2].min())
    for thing in bpy.context.scene.objects:
        thing.matrix_basis = Matrix.Translation((0, 0, -low)) @ thing.matrix_basis


def carcass(
    width: float,
    depth: float,
    low: float,
    high: float,
    material: bpy.types.Material,
    thick: float = 0.02,
    over: float = 0.0,
) -> None:
    """Two sides, bottom, top (over: how far it stands out) and back of a cabinet."""
    inner = width - 2 * thick
    for side in (-1, 1):
        board(
            (thick, depth, high - low - thick),
            (side * (width - thick) / 2, 0, (high + low - thick) / 2),
            material,
            0.0015,
            along=2,
        )
    board(
        (width + 2 * over, depth + over, thick),
        (0, -over / 2, high - thick / 2),
        material,
        0.0025,
        along=0,
    )
    board((inner, depth - 0.004, thick), (0, 0.001, low + thick / 2), material, 0.0015, along=0)
    board(
        (inner, 0.006, high - low - 2 * thick),
        (0, depth / 2 - 0.008, (high + low) / 2),
        material,
        0.001,
        along=2,
    )


def drawer(
    size: tuple[float, float],
    at: Point,
    depth: float,
    material: bpy.types.Material,
    inside: bpy.types.Material,
) -> None:
    """A drawer whose front (width, height) has its middle at `at`, with its box behind."""
    board((size[0], 0.019, size[1]), at, material, 0.0022, along=0)
    board(
        (size[0] - 0.03, depth, size[1] - 0.03),
        (at[0], at[1] + 0.01 + depth / 2, at[2]),
        inside,
        0.001,
    )


def knob(at: Point, material: bpy.types.Material, size: float = 0.034) -> Thing:
    """A turned knob of this diameter that points to -y; `at` lies on the front."""
    s = size / 0.034
    profile = [
        (0, 0.028),
        (0.010, 0.0268),
        (0.017, 0.020),
        (0.0145, 0.012),
        (0.0085, 0.006),
        (0.0095, 0.0),
        (0, 0),
    ]
    return lathe([(r * s, z * s) for r, z in profile], at, material, sides=40, turn=(90, 0, 0))


def bar_handle(
    length: float, at: Point, material: bpy.types.Material, upright: bool = False
) -> None:
    """A round bar on two posts; `at` lies on the front."""
    axis = Vector((0, 0, 1) if upright else (1, 0, 0))
    middle = Vector(at) + Vector((0, -0.028, 0))
    rod(middle - axis * length / 2, middle + axis * length / 2, 0.0055, material)
    for end in (-1, 1):
        foot = Vector(at) + axis * end * (length / 2 - 0.022)
        rod(foot + Vector((0, 0.001, 0)), foot + Vector((0, -0.027, 0)), 0.0042, material)
        cylinder(0.0085, 0.003, foot - Vector((0, 0.0014, 0)), material, 0.001, turn=(90, 0, 0))


def covers() -> list[bpy.types.Material]:
    """Book cloths, with the paper of the pages last."""
    return [fabric(c, weave=0.0012, melange=0.1, bump=0.4) for c in COVERS] + [
        painted("#efe6d2", 0.8)
    ]


def book(
    size: Point, at: Point, cloth: Sequence[bpy.types.Material], pick: int, turn: Point = (0, 0, 0)
) -> None:
    """A bound book of (thickness, depth, height), spine to -y, the middle of its foot at `at`."""
    t, d, h = size
    cover, paper, band = cloth[pick % len(COVERS)], cloth[-1], cloth[(pick + 3) % len(COVERS)]
    parts = [
        board((t - 0.005, d - 0.006, h - 0.008), (0, 0.001, h / 2), paper, 0.0008, along=2),
        board((t, 0.009, h), (0, -d / 2 + 0.0035, h / 2), cover, min(0.004, t / 3), along=2),
    ]
    parts += [
        board((0.0028, d, h), (side * (t / 2 - 0.0014), 0.002, h / 2), cover, 0.001, along=2)
        for side in (-1, 1)
    ]
    if pick % 3:
        tall = h * (0.10 + 0.06 * (pick % 4))
        parts.append(board((t * 0.72, 0.002, tall), (0, -d / 2 - 0.001, h * 0.72), band, 0.0006))
    place(parts, at, turn)


def book_row(
    left: float,
    front: float,
    z: float,
    count: int,
    cloth: Sequence[bpy.types.Material],
    seed: int,
    lean: bool = False,
    tall: float = 0.24,
) -> float:
    """Standing books from `left` on, their spines about at y=front; returns where they end."""
    dice = random.Random(seed)
    x, h = left, tall
    for i in range(count):
        t, last = dice.uniform(0.014, 0.036), h
        d, h = dice.uniform(0.15, 0.18), tall * dice.uniform(0.76, 1.0)
        y = front + d / 2 + dice.uniform(0, 0.008)
        if lean and i == count - 1:
            a = math.radians(13)
            foot = x + min(h * math.sin(a), last * math.tan(a)) + 0.002
            book(
                (t, d, h),
                (foot + t / 2 * math.cos(a), y, z + t / 2 * math.sin(a)),
                cloth,
                dice.randrange(40),
                (0, -13, 0),
            )
            return foot + t
        book((t, d, h), (x + t / 2, y, z), cloth, dice.randrange(40))
        x += t + 0.0008
    return x


def book_pile(at: Point, count: int, cloth: Sequence[bpy.types.Material], seed: int) -> float:
    """Books that lie on each other, spines to the front; returns the height of their top."""
    dice = random.Random(seed)
    z = at[2]
    for i in range(count):
        t, h = dice.uniform(0.018, 0.034), 0.27 - 0.025 * i
        turn = (0, 90, dice.uniform(-7, 7))
        book(
            (t, 0.19 - 0.01 * i, h),
            (at[0] - h / 2, at[1], z + t / 2),
            cloth,
            dice.randrange(40),
            turn,
        )
        z += t + 0.0005
    return z


def vase(at: Point, colour: str, height: float = 0.2, speckles: float = 0.3) -> None:
    """A bellied ceramic vase with an open neck."""
    s = height / 0.2
    outer = [
        (0, 0),
        (0.036, 0.0),
        (0.042, 0.006),
        (0.062, 0.06),
        (0.058, 0.11),
        (0.028, 0.155),
        (0.022, 0.175),
        (0.028, 0.2),
        (0.025, 0.199),
        (0.018, 0.175),
        (0.024, 0.15),
        (0.05, 0.1),
        (0, 0.03),
    ]
    lathe([(r * s, z * s) for r, z in outer], at, ceramic(colour, speckles))


def plant(
    at: Point, height: float = 0.26, pot: str = "#e8e4dc", leaves: int = 22, seed: int = 3
) -> None:
    """A small leafy plant in a ceramic pot."""
    dice, (x, y, z), r = random.Random(seed), at, height * 0.24
    lathe(
        [
            (0, 0),
            (r * 0.72, 0),
            (r * 0.8, 0.004),
            (r, r * 1.6),
            (r * 0.94, r * 1.62),
            (r * 0.9, r * 1.4),
            (0, r * 1.4),
        ],
        at,
        ceramic(pot, 0.1),
        smooth=False,
    )
    cylinder(r * 0.9, 0.004, (x, y, z + r * 1.42), painted("#2e231b", 0.95))
    greens = [painted(c, 0.45) for c in ("#3f6136", "#4f7340", "#35532f")]
    for i in range(leaves):
        turn, up = i * 2.4 + dice.uniform(-0.3, 0.3), dice.uniform(0.25, 1.0)
        out = (
            Vector((math.cos(turn), math.sin(turn), 0))
            * r
            * dice.uniform(0.5, 1.5)
            * (1.25 - up * 0.6)
        )
        base = Vector((x, y, z + r * 1.42))
        tip = base + out + Vector((0, 0, (height - r * 1.5) * up))
        tube([base + out * 0.1, base.lerp(tip, 0.55) - out * 0.15, tip], 0.0013, greens[2])
        ahead = (out.normalized() + Vector((0, 0, dice.uniform(-0.3, 0.5)))).normalized()
        side = ahead.cross((0, 0, 1)).normalized()
        long, wide = height * dice.uniform(0.22, 0.34), height * dice.uniform(0.09, 0.13)

        def blade(u: float, v: float) -> Vector:
            across = (2 * u - 1) * wide * 0.5 * math.sin(math.pi * min(1, v * 0.98 + 0.01)) ** 0.8
            return (
                tip
                + ahead * long * v
                + side * across
                + Vector((0, 0, abs(across) * 0.5 - long * 0.45 * v * v))
            )

        sheet(blade, 0.0, greens[i % 3], steps=10)


def rope(
    points: Sequence[Point],
    radius: float,
    turns: int,
    material: bpy.types.Material,
    closed: bool = False,
) -> list[Thing]:
    """Two strands of this radius twisted round a line."""
    line, strands = spline(points, 24, closed), []
    count = turns * 4
    for phase in (0.0, math.pi):
        path = []
        for i in range(count if closed else count + 1):
            k = round(i / count * (len(line) - (0 if closed else 1)))
            here, ahead = (
                line[k % len(line)],
                line[(k + 1) % len(line)] if k + 1 < len(line) or closed else line[k],
            )
            behind = line[k - 1] if k or closed else line[k]
            along = (ahead - behind).normalized()
            one = along.cross((0.31, 0.2, 1.0)).normalized()
            angle = 2 * math.pi * i / 4 + phase
            path.append(
                here + (one * math.cos(angle) + one.cross(along) * math.sin(angle)) * radius * 0.8
            )
        strands.append(tube(path, radius, material, closed=closed))
    return strands
