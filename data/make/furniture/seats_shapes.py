"""Helpers for seats: sawn and moulded wood, pairs of items, soft displacement."""

import itertools
import math
import random
from collections.abc import Callable, Sequence

import bmesh
import bpy
from mathutils import Matrix, Vector, noise

from .parts import Point, cylinder, finish, panel, spline
from .surfaces import metal
from .sweeps import copy, place, sheet, tube


def sawn(
    points: Sequence[Point],
    width: float,
    thickness: float,
    x: float,
    material: bpy.types.Material,
    end_width: float | None = None,
    floor: bool = False,
    bevel: float = 0.004,
) -> bpy.types.Object:
    """A bar sawn from a plank in the yz plane at x: `points` are (y, z); floor=True levels its first end."""
    line = [p.xy for p in spline([(y, z, 0) for y, z in points], 8)]
    left, right, last = [], [], len(line) - 1
    for i, p in enumerate(line):
        ahead = (line[min(i + 1, last)] - line[max(i - 1, 0)]).normalized()
        wide = width + ((end_width or width) - width) * i / last
        for side, row in ((1, left), (-1, right)):
            q = p + Vector((-ahead.y, ahead.x)) * side * wide / 2
            row.append(q - ahead * ((q.y - p.y) / ahead.y) if floor and i == 0 else q)
    span = line[-1] - line[0]
    return panel(
        [tuple(q) for q in left + right[::-1]],
        thickness,
        (x, 0, 0),
        material,
        bevel,
        (90, 0, 90),
        0 if abs(span.x) > abs(span.y) else 1,
    )


def moulded(
    width: float,
    depth: float,
    radius: float,
    shape: Callable[[float, float], Point],
    thickness: float,
    material: bpy.types.Material,
    steps: int = 64,
) -> bpy.types.Object:
    """A curved board with rounded corners; shape(x, y) puts each point of the flat blank in space."""

    def point(u: float, v: float) -> Point:
        x, y = (2 * u - 1) * width / 2, (2 * v - 1) * depth / 2
        a, b = abs(x) - width / 2 + radius, abs(y) - depth / 2 + radius
        if a > 0 and b > 0:
            squeeze = max(a, b) / math.hypot(a, b)
            x, y = (
                math.copysign(h / 2 - radius + c * squeeze, q)
                for h, c, q in ((width, a, x), (depth, b, y))
            )
        return shape(x, y)

    return sheet(point, thickness, material, steps)


def twice(first: tuple[Point, float], second: tuple[Point, float]) -> None:
    """Put the item in the scene at (place, degrees) `first`, and a copy of it at `second`."""
    things = [t for t in bpy.context.scene.objects if not t.get("set")]
    twins = [copy(t, Matrix.Identity(4)) for t in things]
    place(things, first[0], (0, 0, first[1]))
    place(twins, second[0], (0, 0, second[1]))


def crumple(thing: bpy.types.Object, depth: float, size: float, seed: float = 0.0) -> None:
    """Make a soft part uneven by `depth` metres, in dents of about `size` metres."""
    shift = Vector((seed, seed * 1.7, seed * 2.3))
    for vert, normal in [(v, v.normal.copy()) for v in thing.data.vertices]:
        vert.co += (
            normal
            * depth
            * (
                noise.noise(vert.co / size + shift)
                + 0.4 * noise.noise(vert.co / size * 2.7 + shift)
            )
        )


def bolt(
    at: Point, radius: float = 0.006, turn: Point = (90, 0, 0), kind: str = "brushed steel"
) -> bpy.types.Object:
    """A low round screw head."""
    return cylinder(radius, 0.004, at, metal(kind), 0.0015, turn)


def ring(radius: float, z: float, y: float = 0.0, count: int = 32) -> list[Point]:
    """Points of a horizontal circle, for tube(closed=True)."""
    return [
        (radius * math.cos(a), y + radius * math.sin(a), z)
        for a in (2 * math.pi * i / count for i in range(count))
    ]


def bar(
    start: Point,
    stop: Point,
    radius: float,
    material: bpy.types.Material,
    end_radius: float | None = None,
) -> bpy.types.Object:
    """A straight round bar, without the doubled rings that make rod() collapse in some directions."""
    return tube([start, stop], radius, material, end_radius=end_radius)


def evenly(outline: Sequence[Point], z: float, step: float = 0.03) -> list[Point]:
    """Closed outline at height z with extra points on long sides, for tube(closed=True)."""
    points = []
    for (ax, ay), (bx, by) in zip(outline, [*outline[1:], outline[0]], strict=False):
        count = max(1, round(math.hypot(bx - ax, by - ay) / step))
        points += [
            (ax + (bx - ax) * i / count, ay + (by - ay) * i / count, z) for i in range(count)
        ]
    return points


def winged_back(black: bpy.types.Material, red: bpy.types.Material) -> bpy.types.Object:
    """The winged back of the gaming chair as one solid, 0.80 m high, black with red side panels."""
    wide = spline(
        [
            (0.0, 0.185, 0),
            (0.15, 0.215, 0),
            (0.32, 0.222, 0),
            (0.50, 0.245, 0),
            (0.63, 0.282, 0),
            (0.71, 0.272, 0),
            (0.80, 0.203, 0),
            (0.90, 0.182, 0),
            (1.0, 0.165, 0),
        ],
        12,
    )
    mesh, rings, half, rows = bmesh.new(), [], 64, 120
    for i in range(rows + 1):
        t = 0.5 - 0.5 * math.cos(math.pi * i / rows)
        one, two = next((a, b) for a, b in itertools.pairwise(wide) if b.x >= t - 1e-9)
        cap = math.sqrt(max(0.0, 1 - abs(2 * t - 1) ** 16))
        reach = (one.y + (two.y - one.y) * (t - one.x) / (two.x - one.x)) * (0.80 + 0.20 * cap)
        wing = 0.085 * math.exp(-(((t - 0.62) / 0.16) ** 2)) + 0.055 * math.exp(
            -(((t - 0.18) / 0.22) ** 2)
        )
        row = []
        for k in range(2 * half):
            front = k <= half
            s = -math.cos(math.pi * k / half)
            thick = cap * math.sqrt(max(0.0, 1 - abs(s) ** 7)) * (0.055 if front else 0.042)
            groove = (
                sum(math.exp(-(((abs(s) - c) / 0.022) ** 2)) for c in (0.56, 0.86))
                if front
                else 0.0
            )
            quilt = (
                0.005 * abs(math.sin(t * 26)) ** 0.4
                if front and abs(s) < 0.56 and t < 0.80
                else 0.0
            )
            pad = 0.020 * max(0.0, 1 - ((abs(s) - 0.76) / 0.2) ** 2) if front and t < 0.78 else 0.0
            y = (
                (-1 if front else 1) * thick
                - wing * abs(s) ** 2.6
                - cap * (quilt + pad)
                + 0.006 * groove
            )
            row.append(
                mesh.verts.new(
                    (s * reach, y - 0.025 * math.sin(math.pi * min(1.0, t / 0.5)), 0.80 * t)
                )
            )
        rings.append(row)
    for i, (low, high) in enumerate(itertools.pairwise(rings)):
        for k in range(2 * half):
            face = mesh.faces.new(
                (low[k], low[(k + 1) % (2 * half)], high[(k + 1) % (2 * half)], high[k])
            )
            s, t = (
                abs(math.cos(math.pi * (k + 0.5) / half)),
                0.5 - 0.5 * math.cos(math.pi * (i + 0.5) / rows),
            )
            face.material_index = int(k < half and 0.56 < s < 0.86 and t < 0.80)
    mesh.faces.new(rings[0])
    mesh.faces.new(rings[-1])
    thing = finish(mesh, "gaming back", black, sharp=180)
    thing.data.materials.append(red)
    return thing


def fibres(
    wide: float, deep: float, height: float, count: int, material: bpy.types.Material
) -> None:
    """A brush of upright fibres on a rectangle; attribute 'root' holds each one's x, y and tone (0..1)."""
    dice, verts, faces, roots = random.Random(4), [], [], []
    for _ in range(count):
        x, y = dice.uniform(-wide / 2, wide / 2), dice.uniform(-deep / 2, deep / 2)
        size, spin, tone = dice.uniform(0.0005, 0.0009), dice.uniform(0, 6.28), dice.random()
        lean, way = dice.uniform(0, 0.005), dice.uniform(0, 6.28)
        tip = (x + lean * math.cos(way), y + lean * math.sin(way), height + dice.gauss(0, 0.0007))
        n = len(verts)
        for px, py, pz in ((x, y, 0.004), tip):
            for k in range(3):
                a = spin + 2.094 * k
                verts.append((px + size * math.cos(a), py + size * math.sin(a), pz))
                roots.append((x, y, tone))
        faces += [
            (n, n + 1, n + 4, n + 3),
            (n + 1, n + 2, n + 5, n + 4),
            (n + 2, n, n + 3, n + 5),
            (n + 3, n + 4, n + 5),
        ]
    data = bpy.data.meshes.new("fibres")
    data.from_pydata(verts, [], faces)
    data.attributes.new("root", "FLOAT_VECTOR", "POINT").data.foreach_set(
        "vector", [c for r in roots for c in r]
    )
    data.materials.append(material)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("fibres", data))
