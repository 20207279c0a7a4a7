"""Bedding that falls by itself (Blender's cloth simulation), plant leaves, and what a mirror sees."""

import math
from collections.abc import Sequence

import bmesh
import bpy
from mathutils import Vector, noise

from .materials import Graph, fabric, rgba
from .parts import Point, board, finish
from .surfaces import concrete, glow
from .sweeps import sheet


def drape(
    size: tuple[float, float],
    at: Point,
    material: bpy.types.Material,
    over: Sequence[bpy.types.Object],
    thickness: float = 0.012,
    stiff: float = 0.6,
    grow: float = 0.03,
    frames: int = 36,
    cell: float = 0.032,
) -> bpy.types.Object:
    """A cloth of this size, centre at `at`, dropped onto the things in `over`; returns the fallen cloth.

    stiff: resistance to bending (blanket 0.5, duvet 5); grow: share by which it is too large, which wrinkles it.
    """
    bpy.context.view_layer.update()
    for thing in over:
        thing.modifiers.new("hard", "COLLISION")
        thing.collision.thickness_outer, thing.collision.cloth_friction = 0.006, 30
    columns, rows, mesh = round(size[0] / cell), round(size[1] / cell), bmesh.new()
    bmesh.ops.create_grid(mesh, x_segments=columns, y_segments=rows, size=0.5)
    for vert in mesh.verts:
        x, y = vert.co.x * size[0], vert.co.y * size[1]
        vert.co = Vector((x, y, 0.012 * noise.noise(Vector((x * 4, y * 4, at[2] * 7)))))
    cloth = finish(mesh, "cloth", material, at=at, sharp=180)
    rules = cloth.modifiers.new("fall", "CLOTH")
    rules.settings.quality, rules.settings.mass, rules.settings.air_damping = 5, 0.35, 2.0
    rules.settings.bending_stiffness, rules.settings.shrink_min = stiff, -grow
    rules.settings.tension_stiffness = rules.settings.compression_stiffness = 12
    rules.collision_settings.distance_min, rules.collision_settings.collision_quality = 0.008, 2
    rules.point_cache.frame_start, rules.point_cache.frame_end = 1, frames
    for frame in range(1, frames + 1):
        bpy.context.scene.frame_set(frame)
    fallen = cloth.evaluated_get(bpy.context.evaluated_depsgraph_get())
    cloth.data = bpy.data.meshes.new_from_object(fallen)
    cloth.modifiers.clear()
    for thing in over:
        thing.modifiers.remove(thing.modifiers["hard"])
    solid = cloth.modifiers.new("thickness", "SOLIDIFY")
    solid.thickness, solid.offset = thickness, 1.0
    smooth = cloth.modifiers.new("smooth", "SUBSURF")
    smooth.levels = smooth.render_levels = 1
    return cloth


def linen(colour: str = "#d8d6d1") -> bpy.types.Material:
    """Plain bed linen: fine weave, matt."""
    return fabric(colour, weave=0.0015, melange=0.06, bump=0.4)


def leaf_skin() -> bpy.types.Material:
    """Snake plant: grey-green cross bands and a yellow margin; needs the 'leaf' attribute."""
    g = Graph("leaf")
    across, along, number = g.add(
        "SeparateXYZ", {0: g.add("Attribute", out="Vector", attribute_name="leaf")}
    ).node.outputs
    spot = g.add(
        "CombineXYZ",
        {0: g.math("MULTIPLY", across, 4.0), 1: g.math("MULTIPLY", along, 26.0), 2: number},
    )
    bands = g.add("MapRange", {0: g.noise(spot, 1.0, 3.0), 1: 0.46, 2: 0.60})
    green = g.mix(bands, rgba("#213a22"), rgba("#5c7651"))
    edge = g.math("ABSOLUTE", g.math("SUBTRACT", across, 0.5))
    margin = g.add("MapRange", {0: edge, 1: 0.40, 2: 0.425})
    g.principled(Base_Color=g.mix(margin, green, rgba("#a8a04e")), Roughness=0.38)
    return g.material


def sword_leaf(
    at: Point,
    height: float,
    width: float,
    lean: float,
    heading: float,
    number: int,
    material: bpy.types.Material,
) -> bpy.types.Object:
    """An upright pointed leaf, folded along its middle; lean in metres at the tip, heading in radians."""
    steps, twist = 28, 0.9 * math.sin(number * 2.3)

    def shape(u: float, v: float) -> Point:
        broad = width * (0.62 + 1.1 * v - 1.15 * v * v) * min(1.0, (1.002 - v) * 4.5) ** 0.7
        side, angle = (u - 0.5) * broad, heading + math.pi / 2 + twist * v
        fold = 0.55 * abs(side) * (1.15 - v) + 0.006 * math.sin(v * 9 + number) * (2 * u - 1)
        out = lean * v**1.7 + fold
        return (
            at[0] + out * math.cos(heading) + side * math.cos(angle),
            at[1] + out * math.sin(heading) + side * math.sin(angle),
            at[2] + height * v,
        )

    leaf = sheet(shape, 0.003, material, steps=steps)
    marks = leaf.data.attributes.new("leaf", "FLOAT_VECTOR", "POINT")
    for i, mark in enumerate(marks.data):
        mark.vector = (i % (steps + 1) / steps, i // (steps + 1) / steps, number * 7.1)
    return leaf


def _unmirrored(*_) -> None:
    """Keep the softboxes themselves out of mirrors."""
    for lamp in bpy.data.objects:
        if lamp.type == "LIGHT":
            lamp.visible_glossy = False
    bpy.app.handlers.render_pre.remove(_unmirrored)  # left in place, it would block Python's exit


def _lit(colour: str, strength: float) -> bpy.types.Material:
    """Paint in a part of the room that the studio lights do not reach."""
    g = Graph("lit paint")
    g.principled(
        Base_Color=rgba(colour),
        Roughness=0.9,
        Emission_Color=rgba(colour),
        Emission_Strength=strength,
    )
    return g.material


def room_behind(distance: float, x: float, wall: str = "#c4baaa") -> None:
    """The other side of the room, for mirrors: a wall at -distance with tall windows, one at x; not framed."""
    paint, sky, white, y = _lit(wall, 0.62), glow("#e3ecf5", 1.5), _lit("#f2f0ea", 0.95), -distance
    made = [
        board((30, 0.1, 9), (0, y - 0.06, 4.4), paint),
        board((30, 0.03, 0.12), (0, y, 0.06), white),
    ]
    for pane in (x - 3.2, x, x + 3.2):
        made.append(board((1.16, 0.02, 2.0), (pane, y, 1.95), sky))
        made += [board((0.08, 0.09, 2.16), (pane + dx, y, 1.95), white) for dx in (-0.6, 0, 0.6)]
        made += [board((1.28, 0.07, 0.08), (pane, y, z), white) for z in (0.91, 2.99)]
        made += [board((1.16, 0.05, 0.035), (pane, y, z), white) for z in (1.6, 2.27)]
    for thing in made:
        thing["set"] = True
    bpy.app.handlers.render_pre.append(_unmirrored)


def soil() -> bpy.types.Material:
    """Dark potting soil."""
    earth = concrete("#2b211a")
    earth.name = "soil"
    return earth
