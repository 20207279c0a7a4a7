"""Upholstery: cushions, and the bulb that lights a lampshade."""

import math
from collections.abc import Sequence

import bmesh
import bpy
from mathutils import Matrix, Vector, noise

from .materials import rgba
from .parts import Point, dice, finish, lathe
from .surfaces import glow
from .sweeps import tube


def cushion(
    size: Point,
    at: Point,
    material: bpy.types.Material,
    bulge: float = 0.25,
    edge: float = 0.03,
    wrinkles: float = 0.004,
    piping: float = 0.0,
    pillow: bool = False,
    tufts: Sequence[tuple[float, float]] = (),
    bow: float = 0.0,
    turn: Point = (0, 0, 0),
    detail: int = 44,
) -> list[bpy.types.Object]:
    """A stuffed cushion of this full size (z is its thickness), centre at `at`; returns its objects.

    bulge: how much thinner the rim is (0..0.5); edge: roundness in metres; wrinkles: metres;
    piping: cord radius, 0 for none; pillow: pointed scatter cushion with one seam;
    tufts: (x, y) of buttons in metres; bow: metres by which the left and right ends curve to +z.
    """
    half = Vector(size) / 2
    radius = min(edge, min(half) * 0.98)
    seed = Vector((dice.uniform(0, 50), dice.uniform(0, 50), dice.uniform(0, 50)))

    def shape(p: Vector) -> Vector:
        """Map a point of the cube [-1, 1]^3 onto the cushion."""
        q = Vector([math.sin(c * math.pi / 2) * h for c, h in zip(p, half, strict=False)])
        core = Vector(
            [max(-(h - radius), min(h - radius, c)) for c, h in zip(q, half, strict=False)]
        )
        out = q - core
        q = core + out.normalized() * radius if out.length > 1e-9 else q
        u, v = min(1.0, abs(q.x / half.x)), min(1.0, abs(q.y / half.y))
        if pillow:
            dome = max(0.0, (1 - u**2.6) * (1 - v**2.6)) ** 0.55
            q.z = half.z * dome * (1 if p.z > 0 else -1) * min(1.0, abs(p.z) * 1.02)
            q.x *= 1 - 0.07 * (1 - v * v) * u * u
            q.y *= 1 - 0.07 * (1 - u * u) * v * v
        else:
            q.z *= 1 - bulge + bulge * (1 - u**3) * (1 - v**3)
            puff = radius * 0.35 * (1 - (q.z / half.z) ** 2)
            q.x += math.copysign(puff * u**6 * (1 - v**4), q.x)
            q.y += math.copysign(puff * v**6 * (1 - u**4), q.y)
        soft = noise.noise(q * 5 + seed)
        crease = 1 - abs(noise.noise(Vector((q.x * 14, q.y * 6, q.z * 9)) + seed)) * 2.2
        q += out.normalized() * wrinkles * (soft * 1.3 + 0.5 * crease * max(u, v) ** 2)
        for x, y in tufts:
            far = math.hypot(q.x - x, q.y - y)
            q.z -= (
                math.copysign(
                    half.z * 0.5 * math.exp(-((far / (0.028 + half.z * 0.22)) ** 1.3)), q.z
                )
                if p.z > 0
                else 0.0
            )
        q.z += bow * (q.x / half.x) ** 2
        return q

    mesh = bmesh.new()
    bmesh.ops.create_cube(mesh, size=2)
    bmesh.ops.subdivide_edges(mesh, edges=mesh.edges[:], cuts=detail, use_grid_fill=True)
    places = [shape(v.co.copy()) for v in mesh.verts]
    for vert, place in zip(mesh.verts, places, strict=False):
        vert.co = place
    bmesh.ops.remove_doubles(mesh, verts=mesh.verts[:], dist=1e-6)
    made = [finish(mesh, "cushion", material, 0, at, turn, sharp=180)]
    frame = made[0].matrix_basis.copy()
    steps = [-1 + 2 * i / 24 for i in range(24)]
    loop = (
        [(s, -1) for s in steps]
        + [(1, s) for s in steps]
        + [(-s, 1) for s in steps]
        + [(-1, -s) for s in steps]
    )
    for height in ((0.0,) if pillow else (1.0, -1.0)) if piping else ():
        cord = tube([shape(Vector((x, y, height))) for x, y in loop], piping, material, closed=True)
        cord.matrix_basis = frame
        made.append(cord)
    for x, y in tufts:
        button = lathe(
            [(0, 0.006), (0.008, 0.0045), (0.012, 0), (0.008, -0.004)],
            (0, 0, 0),
            material,
            sides=24,
        )
        button.matrix_basis = frame @ Matrix.Translation(
            shape(
                Vector(
                    (math.asin(x / half.x) * 2 / math.pi, math.asin(y / half.y) * 2 / math.pi, 1)
                )
            )
            + Vector((0, 0, 0.003))
        )
        made.append(button)
    return made


def bent(things: Sequence[bpy.types.Object], radius: float) -> None:
    """Wrap parts round a vertical axis at (0, -radius): for tub backs; do it before place()."""
    for thing in things:
        thing.data = thing.data.copy()
        thing.data.transform(thing.matrix_basis)
        thing.matrix_basis = Matrix.Identity(4)
        for vert in thing.data.vertices:
            angle, reach = vert.co.x / radius, vert.co.y + radius
            vert.co.x, vert.co.y = reach * math.sin(angle), reach * math.cos(angle) - radius


def bulb(
    at: Point, watts: float = 12.0, radius: float = 0.03, colour: str = "#ffcf96"
) -> list[bpy.types.Object]:
    """A glowing globe with a lamp in it; put it inside a lampshade."""
    globe = lathe(
        [
            (radius * math.sin(a), -radius * math.cos(a))
            for a in (i * math.pi / 16 for i in range(17))
        ],
        at,
        glow(colour, 8.0),
        smooth=False,
        sides=32,
    )
    globe.visible_shadow = False
    light = bpy.data.lights.new("bulb", "POINT")
    light.energy, light.color, light.shadow_soft_size = watts, rgba(colour)[:3], radius
    lamp = bpy.data.objects.new("bulb light", light)
    bpy.context.scene.collection.objects.link(lamp)
    lamp.location = at
    return [globe, lamp]
