"""The sample lab: a simulated half year of two organizations' work, with things planted that a reviewer should find."""

from flasktrack.demo.load import load_sample_lab
from flasktrack.demo.tamper import make_tampered_copy

__all__ = ["load_sample_lab", "make_tampered_copy"]
