"""The photo studio: backgrounds, lights, camera, and photograph()."""

import io
import math
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from PIL import Image

from . import parts
from .materials import rgba
from .sets import SWEEPS, room, sweep

SIZE = (768, 576)


def clear(seed: int = 1) -> None:
    """Start an empty scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    parts.dice.seed(seed)


def item_points() -> np.ndarray:
    """All vertices of the item in world coordinates."""
    graph = bpy.context.evaluated_depsgraph_get()
    clouds = []
    for thing in bpy.context.scene.objects:
        if thing.type == "MESH" and not thing.get("set"):
            data = thing.evaluated_get(graph).data
            local = np.empty(len(data.vertices) * 3, "f")
            data.vertices.foreach_get("co", local)
            world = np.array(thing.evaluated_get(graph).matrix_world)
            clouds.append(local.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])
    return np.concatenate(clouds)


def _softbox(
    at: Vector, target: Vector, size: tuple[float, float], watts: float, colour: str
) -> None:
    """A rectangular area light aimed at the item."""
    light = bpy.data.lights.new("softbox", "AREA")
    light.shape, light.size, light.size_y = "RECTANGLE", *size
    light.energy, light.color = watts, rgba(colour)[:3]
    lamp = bpy.data.objects.new("softbox", light)
    bpy.context.scene.collection.objects.link(lamp)
    lamp.matrix_basis = (
        Matrix.Translation(at) @ (target - at).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    )


def _light(centre: Vector, reach: float, azimuth: float, level: float, side: int) -> None:
    """Key from the camera's left (side -1) or right (1), fill, top light, and a pale sky."""
    turn = Matrix.Rotation(math.radians(azimuth * 0.6), 3, "Z")
    power = level * reach * reach
    for place, size, watts, colour in (
        ((2.4 * side, -2.0, 2.5), (2.2, 2.2), 400, "#fff8ef"),
        ((-2.8 * side, -1.8, 1.3), (2.6, 3.0), 60, "#f2f6ff"),
        ((-0.9 * side, 0.3, 3.2), (2.6, 1.4), 130, "#ffffff"),
    ):
        _softbox(
            centre + turn @ Vector(place) * reach,
            centre,
            (size[0] * reach, size[1] * reach),
            watts * power,
            colour,
        )
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    height = nodes.new("ShaderNodeSeparateXYZ")
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Generated"], height.inputs[0])
    ramp = nodes.new("ShaderNodeMapRange")
    links.new(height.outputs[2], ramp.inputs[0])
    for i, value in enumerate((-0.2, 0.9, 0.15 * level, 0.7 * level), 1):
        ramp.inputs[i].default_value = value
    links.new(ramp.outputs[0], nodes["Background"].inputs["Strength"])
    bpy.context.scene.world = world


def _camera(points: np.ndarray, azimuth: float, elevation: float, zoom: float, lens: float) -> None:
    """Frame all points with a margin."""
    data = bpy.data.cameras.new("camera")
    data.lens, data.sensor_width = lens, 36.0
    a, e = math.radians(azimuth), math.radians(elevation)
    away = Vector((math.sin(a) * math.cos(e), -math.cos(a) * math.cos(e), math.sin(e)))
    turn = (-away).to_track_quat("-Z", "Y").to_matrix()
    axes = np.array(turn)
    target = Vector((points.min(0) + points.max(0)) / 2)
    distance, room = 4.0, np.array([0.80, 0.80 * SIZE[1] / SIZE[0]]) * zoom * 18 / lens
    for _ in range(12):
        local = (points - np.array(target + away * distance)) @ axes
        flat = local[:, :2] / -local[:, 2:]
        low, high = flat.min(0), flat.max(0)
        shift = (low + high) / 2 * distance
        target += turn @ Vector((shift[0], shift[1], 0))
        distance *= float(((high - low) / 2 / room).max())
    camera = bpy.data.objects.new("camera", data)
    bpy.context.scene.collection.objects.link(camera)
    camera.matrix_basis = Matrix.Translation(target + away * distance) @ turn.to_4x4()
    data.dof.use_dof, data.dof.focus_distance, data.dof.aperture_fstop = True, distance, 8.0
    bpy.context.scene.camera = camera


def _render(path: str, samples: int, scale: float, exposure: float) -> None:
    """Render the scene with Cycles to a PNG."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    c = scene.cycles
    c.device, c.samples, c.use_adaptive_sampling, c.adaptive_threshold = "CPU", samples, True, 0.05
    c.use_denoising, c.denoiser, c.denoising_input_passes = (
        True,
        "OPENIMAGEDENOISE",
        "RGB_ALBEDO_NORMAL",
    )
    c.max_bounces, c.diffuse_bounces, c.glossy_bounces, c.transmission_bounces = 6, 2, 2, 6
    c.transparent_max_bounces, c.caustics_reflective, c.caustics_refractive = 8, False, False
    c.sample_clamp_indirect = 4.0
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.resolution_x, scene.render.resolution_y = (round(n * scale) for n in SIZE)
    scene.render.resolution_percentage = 100
    view = scene.view_settings
    view.view_transform, view.look, view.exposure = "AgX", "AgX - High Contrast", exposure - 0.25
    scene.render.image_settings.file_format, scene.render.filepath = "PNG", path
    bpy.ops.render.render(write_still=True)


def save_jpeg(image: Image.Image, path: str, low: int = 25_000, high: int = 60_000) -> int:
    """Write a JPEG without metadata whose size lies between low and high bytes; returns its quality."""
    for quality in (88, 91, 94, 96, 98, 85, 82, 78, 74, 70, 65, 60):
        buffer = io.BytesIO()
        image.save(
            buffer, "JPEG", quality=quality, optimize=True, subsampling=0 if quality > 88 else 2
        )
        if low <= buffer.tell() <= high:
            break
    Path(path).write_bytes(buffer.getvalue())
    return quality


def photograph(
    path: str,
    background: str = "white",
    azimuth: float = 28,
    elevation: float = 12,
    zoom: float = 1.0,
    lens: float = 70,
    level: float = 1.0,
    exposure: float = 0.0,
    side: int = -1,
    gap: float = 0.25,
    samples: int = 24,
    scale: float = 1.0,
    grain: float = 0.9,
) -> None:
    """Build the set round the item in the scene, render it and write a JPEG (scale < 1: a preview)."""
    points = item_points()
    low, high = points.min(0), points.max(0)
    reach = max(0.45, float(np.linalg.norm(high - low)) / 2)
    if background in SWEEPS:
        sweep(background, reach, azimuth)
    else:
        room(background, float(high[1]) + gap)
    _light(Vector((low + high) / 2), reach, azimuth, level, side)
    _camera(points, azimuth, elevation, zoom, lens)
    with tempfile.TemporaryDirectory() as folder:
        raw = str(Path(folder, "raw.png"))
        _render(raw, samples, scale, exposure)
        pixels = np.asarray(Image.open(raw).convert("RGB")).astype("f")
    noise = np.random.default_rng(3).normal(0, grain, pixels.shape[:2])[..., None]
    image = Image.fromarray(np.clip(pixels + noise, 0, 255).astype("uint8"))
    save_jpeg(image, path) if scale == 1.0 else image.save(path)
