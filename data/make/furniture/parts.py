"""Solid parts of furniture; every function returns a new object in world coordinates (metres)."""

import itertools
import math
import random
from collections.abc import Iterable, Sequence

import bmesh
import bpy
from mathutils import Matrix, Vector

Point = Sequence[float]
dice = random.Random(7)


def finish(
    mesh: bmesh.types.BMesh,
    name: str,
    material: bpy.types.Material,
    along: int = 0,
    at: Point = (0, 0, 0),
    turn: Point = (0, 0, 0),
    sharp: float = 40,
) -> bpy.types.Object:
    """Turn a bmesh into a smooth-shaded object with a 'grain' attribute along axis 0, 1 or 2."""
    bmesh.ops.recalc_face_normals(mesh, faces=mesh.faces)
    for face in mesh.faces:
        face.smooth = True
    for edge in mesh.edges:
        edge.smooth = len(edge.link_faces) < 2 or edge.calc_face_angle(0) < math.radians(sharp)
    data = bpy.data.meshes.new(name)
    mesh.to_mesh(data)
    mesh.free()
    write_grain(data, along)
    data.materials.append(material)
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    thing.matrix_basis = Matrix.Translation(at) @ _rotation(turn)
    return thing


def write_grain(data: bpy.types.Mesh, along: int, coords: Iterable[Point] | None = None) -> None:
    """Store wood coordinates per vertex: x along the grain, y and z off the heart of a random tree."""
    angle, radius, tilt = dice.uniform(0, 6.28), dice.uniform(0.07, 0.22), dice.uniform(-0.04, 0.04)
    start = dice.uniform(0, 5)
    other = [axis for axis in (0, 1, 2) if axis != along]
    grain = data.attributes.new("grain", "FLOAT_VECTOR", "POINT")
    for item, co in zip(grain.data, coords or [v.co for v in data.vertices], strict=False):
        x, y, z = co[along], co[other[0]], co[other[1]]
        item.vector = (
            x + start,
            y + radius * math.cos(angle) + tilt * x,
            z + radius * math.sin(angle),
        )


def _rotation(turn: Point) -> Matrix:
    """Rotation from degrees about x, y, z."""
    x, y, z = (
        Matrix.Rotation(math.radians(a), 4, axis) for a, axis in zip(turn, "XYZ", strict=False)
    )
    return z @ y @ x


def _weighted(thing: bpy.types.Object) -> bpy.types.Object:
    """Keep large flat faces flat while bevels stay smooth."""
    thing.modifiers.new("flat faces", "WEIGHTED_NORMAL").keep_sharp = True
    return thing


def board(
    size: Point,
    at: Point,
    material: bpy.types.Material,
    bevel: float = 0.003,
    turn: Point = (0, 0, 0),
    along: int | None = None,
) -> bpy.types.Object:
    """A bevelled box of this size with its centre at `at`; grain runs along the longest side."""
    mesh = bmesh.new()
    bmesh.ops.create_cube(mesh, size=1, matrix=Matrix.Diagonal((*size, 1)))
    bmesh.ops.bevel(
        mesh,
        geom=mesh.edges[:],
        offset=min(bevel, min(size) * 0.45),
        segments=3,
        profile=0.5,
        affect="EDGES",
        clamp_overlap=True,
    )
    along = max(range(3), key=lambda i: size[i]) if along is None else along
    return _weighted(finish(mesh, "board", material, along, at, turn))


def rounded(
    width: float, depth: float, radius: float, steps: int = 10
) -> list[tuple[float, float]]:
    """Outline of a rectangle with rounded corners, for panel()."""
    corners = [(1, 1, 0), (-1, 1, 90), (-1, -1, 180), (1, -1, 270)]
    return [
        (
            sx * (width / 2 - radius) + radius * math.cos(math.radians(start + 90 * i / steps)),
            sy * (depth / 2 - radius) + radius * math.sin(math.radians(start + 90 * i / steps)),
        )
        for sx, sy, start in corners
        for i in range(steps + 1)
    ]


def ellipse(width: float, depth: float, steps: int = 96) -> list[tuple[float, float]]:
    """Outline of an ellipse or circle, for panel()."""
    return [
        (width / 2 * math.cos(a), depth / 2 * math.sin(a))
        for a in (2 * math.pi * i / steps for i in range(steps))
    ]


def panel(
    outline: Sequence[Point],
    thickness: float,
    at: Point,
    material: bpy.types.Material,
    bevel: float = 0.003,
    turn: Point = (0, 0, 0),
    along: int = 0,
) -> bpy.types.Object:
    """A flat sheet cut to an outline in the xy plane, centred on `at` in height, then turned."""
    mesh = bmesh.new()
    face = mesh.faces.new([mesh.verts.new((x, y, -thickness / 2)) for x, y in outline])
    top = bmesh.ops.extrude_face_region(mesh, geom=[face])["geom"]
    bmesh.ops.translate(
        mesh, verts=[v for v in top if isinstance(v, bmesh.types.BMVert)], vec=(0, 0, thickness)
    )
    rims = [e for e in mesh.edges if abs(e.verts[0].co.z - e.verts[1].co.z) < 1e-6]
    bmesh.ops.bevel(
        mesh,
        geom=rims,
        offset=min(bevel, thickness * 0.45),
        segments=3,
        profile=0.5,
        affect="EDGES",
        clamp_overlap=True,
    )
    return _weighted(finish(mesh, "panel", material, along, at, turn))


def leg(
    top: Point,
    bottom: Point,
    top_size: float,
    bottom_size: float,
    material: bpy.types.Material,
    round_: bool = True,
    bevel: float = 0.004,
) -> bpy.types.Object:
    """A tapered leg, round or square, from top to bottom; both ends stay level."""
    sides = 40 if round_ else 4
    mesh, middle = bmesh.new(), (Vector(top) + Vector(bottom)) / 2
    for end, size in ((bottom, bottom_size), (top, top_size)):
        reach = size / 2 if round_ else size / math.sqrt(2)
        for i in range(sides):
            a = 2 * math.pi * (i + 0.5) / sides
            mesh.verts.new(
                Vector(end) - middle + Vector((reach * math.cos(a), reach * math.sin(a), 0))
            )
    v = list(mesh.verts)
    mesh.faces.new(v[:sides])
    mesh.faces.new(v[sides:])
    walls = [
        mesh.faces.new((v[i], v[(i + 1) % sides], v[sides + (i + 1) % sides], v[sides + i]))
        for i in range(sides)
    ]
    edges = (
        mesh.edges[:]
        if not round_
        else [e for e in mesh.edges if sum(f in walls for f in e.link_faces) == 1]
    )
    bmesh.ops.bevel(
        mesh,
        geom=edges,
        offset=min(bevel, bottom_size * 0.3),
        segments=3,
        profile=0.5,
        affect="EDGES",
        clamp_overlap=True,
    )
    return _weighted(finish(mesh, "leg", material, 2, middle))


def lathe(
    profile: Sequence[Point],
    at: Point,
    material: bpy.types.Material,
    smooth: bool = True,
    sides: int = 72,
    turn: Point = (0, 0, 0),
) -> bpy.types.Object:
    """Spin a profile of (radius, height) pairs about z; smooth=True rounds it through the points."""
    profile = (
        spline([(r, 0, z) for r, z in profile], 8)
        if smooth
        else [Vector((r, 0, z)) for r, z in profile]
    )
    mesh = bmesh.new()
    line = [mesh.verts.new((max(p.x, 0.0), 0, p.z)) for p in profile]
    edges = [mesh.edges.new(pair) for pair in itertools.pairwise(line)]
    bmesh.ops.spin(
        mesh, geom=line + edges, axis=(0, 0, 1), cent=(0, 0, 0), angle=2 * math.pi, steps=sides
    )
    bmesh.ops.remove_doubles(mesh, verts=mesh.verts[:], dist=1e-5)
    return finish(mesh, "turned part", material, 2, at, turn)


def cylinder(
    radius: float,
    height: float,
    at: Point,
    material: bpy.types.Material,
    bevel: float = 0.003,
    turn: Point = (0, 0, 0),
) -> bpy.types.Object:
    """A round disc or post with bevelled rims, centre at `at`."""
    h, b = height / 2, min(bevel, height * 0.4, radius * 0.4)
    arc = [(b * (1 - math.cos(a)), b * (1 - math.sin(a))) for a in (0.0, 0.4, 0.8, 1.2, 1.5708)]
    low = [(radius - inset, -h + lift) for inset, lift in arc]
    profile = [(0, -h), *reversed(low), *[(r, -z) for r, z in low], (0, h)]
    return _weighted(lathe(profile, at, material, smooth=False, turn=turn))


def spline(points: Sequence[Point], steps: int = 10, closed: bool = False) -> list[Vector]:
    """A smooth line (Catmull-Rom) through the points."""
    p = [Vector(q) for q in points]
    ends = (p[-1:], p[:2]) if closed else ([2 * p[0] - p[1]], [2 * p[-1] - p[-2]])
    p = ends[0] + p + ends[1]
    line = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        for t in (i / steps for i in range(steps)):
            line.append(
                0.5
                * (
                    2 * b
                    + (c - a) * t
                    + (2 * a - 5 * b + 4 * c - d) * t * t
                    + (3 * b - a - 3 * c + d) * t**3
                )
            )
    return line if closed else [*line, p[-2]]
