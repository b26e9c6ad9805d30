"""The composition root: builds and wires, holds no logic."""
