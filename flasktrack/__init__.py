"""FlaskTrack keeps a laboratory's audit history and proves that nobody has altered it."""

__version__ = "0.1.0"
