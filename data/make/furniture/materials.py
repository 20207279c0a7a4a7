"""Procedural materials: each function returns a new Blender material."""

import bpy

Colour = str | tuple[float, float, float]

WOODS = {  # light tone, dark tone, ring width in metres, contrast
    "oak": ("#c49a5e", "#8a6030", 0.009, 1.0),
    "walnut": ("#80573a", "#402617", 0.011, 0.9),
    "beech": ("#cf9f6c", "#a9743f", 0.007, 0.6),
    "pine": ("#dcb06a", "#b07a38", 0.014, 0.9),
    "ash": ("#cfb388", "#a08256", 0.010, 0.8),
    "teak": ("#a96f3f", "#744321", 0.009, 0.8),
    "ebonised": ("#2a2624", "#141211", 0.008, 0.5),
}


def rgba(colour: Colour, gain: float = 1.0) -> tuple[float, float, float, float]:
    """Turn '#rrggbb' (or an sRGB triple of 0..1) into linear RGBA, brightened by gain."""
    if isinstance(colour, str):
        colour = tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c < 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return (*(min(c * gain, 1.0) for c in linear), 1.0)


class Graph:
    """A material under construction, with short ways to add nodes."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.nodes, self.links = self.material.node_tree.nodes, self.material.node_tree.links
        self.shader, self.output = self.nodes["Principled BSDF"], self.nodes["Material Output"]

    def set(self, node, inputs: dict) -> None:
        """Give inputs of a node a value or a link."""
        for key, value in inputs.items():
            if isinstance(value, bpy.types.NodeSocket):
                self.links.new(value, node.inputs[key])
            else:
                node.inputs[key].default_value = value

    def add(self, kind: str, inputs: dict | None = None, out: str | int = 0, **settings):
        """Add a node and return one of its outputs."""
        node = self.nodes.new("ShaderNode" + kind)
        for key, value in settings.items():
            setattr(node, key, value)
        self.set(node, inputs or {})
        return node.outputs[out]

    def math(self, operation: str, *values):
        """Add a math node."""
        return self.add("Math", dict(enumerate(values)), operation=operation)

    def coords(self, scale: tuple[float, float, float] = (1, 1, 1), kind: str = "Object"):
        """Give object coordinates in metres, scaled."""
        vector = self.add("TexCoord", out=kind)
        return self.add("VectorMath", {0: vector, 1: scale}, operation="MULTIPLY")

    def noise(self, vector, scale: float = 1.0, detail: float = 2.0):
        """Add a noise texture (0..1)."""
        return self.add("TexNoise", {"Vector": vector, "Scale": scale, "Detail": detail})

    def mix(self, fac, first, second, blend: str = "MIX"):
        """Mix two colours."""
        return self.add("MixRGB", {0: fac, 1: first, 2: second}, blend_type=blend)

    def bump(self, height, depth: float, strength: float = 1.0) -> None:
        """Bump the surface by height (0..1) times depth in metres."""
        self.principled(
            Normal=self.add("Bump", {"Height": height, "Distance": depth, "Strength": strength})
        )

    def principled(self, **inputs) -> None:
        """Set inputs of the Principled BSDF (underscores stand for spaces)."""
        self.set(self.shader, {key.replace("_", " "): value for key, value in inputs.items()})


def wood(species: str = "oak", roughness: float = 0.42, tone: float = 1.0) -> bpy.types.Material:
    """Satin wood whose grain follows the 'grain' attribute that parts.py writes."""
    light, dark, ring, contrast = WOODS[species]
    g = Graph(f"wood {species}")
    random = g.add("ObjectInfo", out="Random")
    shift = g.add("CombineXYZ", {0: g.math("MULTIPLY", random, 9.0)})
    raw = g.add("Attribute", out="Vector", attribute_name="grain")
    place = g.add("VectorMath", {0: raw, 1: shift}, operation="ADD")

    def stretched(*scale: float):
        return g.add("VectorMath", {0: place, 1: scale}, operation="MULTIPLY")

    wander = g.add(
        "TexNoise", {"Vector": stretched(1.3, 5, 5), "Scale": 1.0, "Detail": 2.0}, out="Color"
    )
    wander = g.add("VectorMath", {0: wander, 1: (0.02, 0.05, 0.05)}, operation="MULTIPLY")
    trunk = g.add("VectorMath", {0: place, 1: wander}, operation="ADD")
    rings = g.add(
        "TexWave",
        {"Vector": trunk, "Scale": 0.314 / ring, "Distortion": 0.0},
        out="Fac",
        wave_type="RINGS",
        rings_direction="X",
        wave_profile="SAW",
    )
    fibre = g.noise(stretched(5, 260, 260), 1.0, 3.0)
    flecks = g.noise(stretched(18, 420, 420), 1.0, 1.0)
    cloud = g.noise(stretched(0.8, 7, 7), 1.0, 2.0)
    value = g.math("MULTIPLY", rings, 0.26)
    value = g.math("MULTIPLY_ADD", fibre, 0.75, value)
    value = g.math("MULTIPLY_ADD", cloud, 0.55, value)
    value = g.add(
        "MapRange", {0: value, 1: 0.45, 2: 1.15, 3: 0.5 - contrast / 2, 4: 0.5 + contrast / 2}
    )
    colour = g.mix(value, rgba(light, tone), rgba(dark, tone))
    pores = g.add("MapRange", {0: flecks, 1: 0.60, 2: 0.72, 3: 0.0, 4: 0.35 * contrast})
    colour = g.mix(pores, colour, rgba(dark, tone * 0.8))
    tint = g.math("ADD", g.add("Attribute", out="Fac", attribute_name="tint"), 1.0)
    random = g.math("ADD", g.math("MULTIPLY", random, 0.12), -0.06)
    colour = g.add("HueSaturation", {"Color": colour, "Value": g.math("ADD", tint, random)})
    g.principled(Base_Color=colour, Roughness=g.math("MULTIPLY_ADD", fibre, 0.16, roughness - 0.08))
    g.bump(fibre, 0.0004, 0.5)
    return g.material


def painted(colour: Colour = "#f2efe8", roughness: float = 0.38) -> bpy.types.Material:
    """Painted or lacquered wood, with a trace of orange peel."""
    g = Graph("painted")
    g.principled(Base_Color=rgba(colour), Roughness=roughness)
    g.bump(g.noise(g.coords(), 140.0), 0.0003, 0.35)
    return g.material


def _weave(g: Graph, size: float):
    """Crossed threads of the given size in metres, as a height of about 0..1."""
    vector = g.coords()
    wobble = g.add("TexNoise", {"Vector": vector, "Scale": 60.0}, out="Color")
    vector = g.add(
        "VectorMath", {0: wobble, 1: (size * 0.7,) * 3, 2: vector}, operation="MULTIPLY_ADD"
    )
    waves = [
        g.add("TexWave", {"Vector": vector, "Scale": 0.314 / size}, out="Fac", bands_direction=axis)
        for axis in "XYZ"
    ]
    return g.math("MULTIPLY", g.math("ADD", g.math("ADD", waves[0], waves[1]), waves[2]), 0.4)


def fabric(
    colour: Colour = "#8d9096", weave: float = 0.0035, melange: float = 0.35, bump: float = 1.0
) -> bpy.types.Material:
    """Woven upholstery: thread bump, speckled yarn colour (melange 0..1), soft sheen."""
    g = Graph("fabric")
    threads = _weave(g, weave)
    speckle = g.noise(g.coords(), 0.9 / weave, 3.0)
    speckle = g.add("MapRange", {0: speckle, 1: 0.3, 2: 0.7})
    yarn = g.mix(speckle, rgba(colour, 1 - 0.6 * melange), rgba(colour, 1 + 0.6 * melange))
    cloud = g.add("MapRange", {0: g.noise(g.coords(), 6.0), 1: 0.3, 2: 0.7, 3: 0.93, 4: 1.05})
    yarn = g.add("HueSaturation", {"Color": yarn, "Value": cloud})
    height = g.math("ADD", threads, g.math("MULTIPLY", speckle, 0.5))
    g.principled(
        Base_Color=yarn,
        Roughness=0.92,
        Specular_IOR_Level=0.15,
        Sheen_Weight=0.25,
        Sheen_Roughness=0.5,
    )
    g.bump(height, weave * 0.5, 0.6 * bump)
    return g.material


def velvet(colour: Colour = "#1f4a45") -> bpy.types.Material:
    """Velvet: dark face on, bright at grazing angles, with patches of brushed nap."""
    g = Graph("velvet")
    nap = g.add(
        "MapRange",
        {0: g.noise(g.coords((1, 1, 0.5)), 5.0, 3.0), 1: 0.35, 2: 0.65, 3: 0.88, 4: 1.12},
    )
    facing = g.add("LayerWeight", {"Blend": 0.35}, out="Facing")
    base = g.mix(facing, rgba(colour, 0.5), rgba(colour, 1.3))
    base = g.add("HueSaturation", {"Color": base, "Value": nap})
    g.principled(
        Base_Color=base,
        Roughness=0.85,
        Specular_IOR_Level=0.1,
        Sheen_Weight=0.3,
        Sheen_Roughness=0.3,
        Sheen_Tint=rgba(colour, 2.2),
    )
    g.bump(g.noise(g.coords(), 500.0), 0.0008, 0.25)
    return g.material


def leather(colour: Colour = "#7a4526", roughness: float = 0.42) -> bpy.types.Material:
    """Leather with pebbled bump and a soft, uneven gloss."""
    g = Graph("leather")
    cells = g.add("TexVoronoi", {"Vector": g.coords(), "Scale": 230.0}, feature="SMOOTH_F1")
    cloud = g.noise(g.coords(), 9.0, 5.0)
    base = g.mix(
        g.add("MapRange", {0: cloud, 1: 0.3, 2: 0.7}), rgba(colour, 0.75), rgba(colour, 1.2)
    )
    g.principled(
        Base_Color=base,
        Roughness=g.math("MULTIPLY_ADD", cloud, 0.25, roughness - 0.12),
        Specular_IOR_Level=0.42,
    )
    g.bump(g.math("ADD", cells, cloud), 0.0012, 0.45)
    return g.material
