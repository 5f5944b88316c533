"""The version, alone in a module so that a build can read it without importing anything else."""

__version__ = "1.0.0.dev0"
