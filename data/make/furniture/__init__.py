"""Furniture pictures made with Blender as a Python module."""

import bpy  # noqa: F401  (bpy must be loaded before bmesh and mathutils)
