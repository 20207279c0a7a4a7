"""Parts swept along lines or spanned over a surface, and copies of parts."""

import itertools
import math
from collections.abc import Callable, Sequence

import bmesh
import bpy
from mathutils import Matrix, Vector

from .parts import Point, finish, spline, write_grain


def fillet(points: Sequence[Point], radius: float, steps: int = 8) -> list[Vector]:
    """Straight runs with bends of about this radius at the corners, as in bent steel tube."""
    p = [Vector(q) for q in points]
    line = [p[0]]
    for a, b, c in zip(p, p[1:], p[2:], strict=False):
        cut = min(radius, (a - b).length * 0.49, (c - b).length * 0.49)
        start, stop = b + (a - b).normalized() * cut, b + (c - b).normalized() * cut
        line += [
            start.lerp(b, t).lerp(b.lerp(stop, t), t) for t in (i / steps for i in range(steps + 1))
        ]
    return [*line, p[-1]]


def tube(
    points: Sequence[Point],
    radius: float,
    material: bpy.types.Material,
    bend: float | None = None,
    closed: bool = False,
    flat: float = 1.0,
    end_radius: float | None = None,
) -> bpy.types.Object:
    """A round bar along points: rounded corners if bend is given, else a smooth curve.

    flat squashes the section, end_radius tapers the bar.
    """
    line = fillet(points, bend) if bend is not None else spline(points, 10, closed)
    ring, n, last = 20, len(line), len(line) - 1
    mesh, coords, rows, run = bmesh.new(), [], [], 0.0
    tangent = (line[1] - line[0]).normalized()
    side = (
        tangent.orthogonal().normalized()
        if abs(tangent.z) > 0.9
        else tangent.cross((0, 0, 1)).normalized()
    )
    for i, place in enumerate(line):
        ahead = line[(i + 1) % n if closed else min(i + 1, last)]
        tangent = (ahead - line[i - 1 if closed else max(i - 1, 0)]).normalized()
        side = (side - tangent * side.dot(tangent)).normalized()
        up = side.cross(tangent)
        run += (place - line[i - 1]).length if i else 0.0
        r = radius + ((end_radius if end_radius is not None else radius) - radius) * i / last
        rims = [(0.0, 0.0)]
        if not closed and i in (0, last):
            rims = [(0.0, 0.3), (0.1, 0.12), (0.3, 0.0)][:: 1 if i == 0 else -1]
        for inset, narrow in rims:
            row, middle = [], place + tangent * inset * r * (1 if i == 0 else -1)
            for k in range(ring):
                a = 2 * math.pi * k / ring
                x, y = r * (1 - narrow) * math.cos(a), r * (1 - narrow) * flat * math.sin(a)
                row.append(mesh.verts.new(middle + side * x + up * y))
                coords.append((run, x, y))
            rows.append(row)
    for one, two in zip(rows, rows[1:] + (rows[:1] if closed else []), strict=False):
        for k in range(ring):
            mesh.faces.new((one[k], one[(k + 1) % ring], two[(k + 1) % ring], two[k]))
    if not closed:
        mesh.faces.new(rows[0])
        mesh.faces.new(rows[-1])
    thing = finish(mesh, "tube", material)
    thing.data.attributes.remove(thing.data.attributes["grain"])
    write_grain(thing.data, 0, coords)
    return thing


def rod(
    start: Point,
    stop: Point,
    radius: float,
    material: bpy.types.Material,
    end_radius: float | None = None,
) -> bpy.types.Object:
    """A straight round bar between two points."""
    points = [Vector(start).lerp(Vector(stop), i / 4) for i in range(5)]
    return tube(points, radius, material, bend=0.0, end_radius=end_radius)


def sheet(
    shape: Callable[[float, float], Point],
    thickness: float,
    material: bpy.types.Material,
    steps: int = 40,
    along: int = 0,
) -> bpy.types.Object:
    """A thin curved shell: shape(u, v) with u, v in 0..1 gives its points; 0 thick for lampshades."""
    mesh = bmesh.new()
    grid = [
        [mesh.verts.new(shape(i / steps, j / steps)) for i in range(steps + 1)]
        for j in range(steps + 1)
    ]
    for low, high in itertools.pairwise(grid):
        for a, b, c, d in zip(low, low[1:], high[1:], high, strict=False):
            mesh.faces.new((a, b, c, d))
    bmesh.ops.remove_doubles(mesh, verts=mesh.verts[:], dist=1e-5)
    thing = finish(mesh, "sheet", material, along, sharp=60)
    if not thickness:
        return thing
    solid = thing.modifiers.new("thickness", "SOLIDIFY")
    solid.thickness, solid.offset = thickness, 0.0
    if thickness > 0.004:
        soft = thing.modifiers.new("rims", "BEVEL")
        soft.width, soft.segments = min(0.003, thickness * 0.3), 2
    return thing


def copy(thing: bpy.types.Object, matrix: Matrix) -> bpy.types.Object:
    """A linked copy of a part, moved by a world matrix."""
    twin = thing.copy()
    bpy.context.scene.collection.objects.link(twin)
    twin.matrix_basis = matrix @ thing.matrix_basis
    return twin


def mirrored(
    things: bpy.types.Object | Sequence[bpy.types.Object], axes: str = "x"
) -> list[bpy.types.Object]:
    """Mirrored copies across x=0 ('x'), y=0 ('y'), or all four quarters ('xy'); returns the new ones."""
    things = [things] if isinstance(things, bpy.types.Object) else list(things)
    new = []
    for axis in axes:
        flip = Matrix.Scale(-1, 4, Vector((axis == "x", axis == "y", axis == "z")))
        new += [copy(thing, flip) for thing in things + new]
    return new


def repeated(thing: bpy.types.Object, count: int, step: Point) -> list[bpy.types.Object]:
    """Copies of a part at equal steps; `count` includes the original."""
    return [thing] + [copy(thing, Matrix.Translation(Vector(step) * i)) for i in range(1, count)]


def around(things: Sequence[bpy.types.Object], count: int) -> list[bpy.types.Object]:
    """Copies of parts in a circle about z, for five-star bases and the like."""
    return [
        copy(thing, Matrix.Rotation(2 * math.pi * i / count, 4, "Z"))
        for i in range(1, count)
        for thing in things
    ]


def place(
    things: Sequence[bpy.types.Object], at: Point = (0, 0, 0), turn: Point = (0, 0, 0)
) -> None:
    """Turn (degrees about x, y, z) finished parts about the origin, then move them."""
    x, y, z = (
        Matrix.Rotation(math.radians(a), 4, axis) for a, axis in zip(turn, "XYZ", strict=False)
    )
    for thing in things:
        thing.matrix_basis = Matrix.Translation(at) @ z @ y @ x @ thing.matrix_basis
