"""Names that survive a power cut: a file that was made or renamed is there for sure once its folder is on the disk."""

from __future__ import annotations

import os
from pathlib import Path


def synchronize_folder(folder: Path) -> None:
    """Put a folder's names on the disk, where folders can be synchronized (not on Windows). Raises OSError."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
