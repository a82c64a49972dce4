"""Unpack the crops of CUHK03 from its ``cuhk-03.mat`` (MATLAB 7.3, which is HDF5) into ``P_III_V_NN.png``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unveil.atomic_io import atomic_folder
from unveil.errors import DataError, MissingExtraError
from unveil.progress import track

FIRST_OF_VIEW_2 = 5


def extract(archive: Path, boxes: str, *, target: Path) -> None:
    """Write the crops of one kind of boxes; the folder is whole or absent.

    Args:
        archive: ``cuhk-03.mat``.
        boxes: "labeled" or "detected".
        target: folder to make.

    Raises:
        MissingExtraError: h5py is not installed.
        DataError: the file is not the one that was published.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("unpacking cuhk-03.mat", "mat") from None
    try:
        with h5py.File(archive) as mat, atomic_folder(target) as folder:
            pairs = [mat[reference] for reference in mat[boxes][0]]
            for pair, people in enumerate(pairs, 1):
                # MATLAB's (people, 10) cell array arrives transposed, and so does each image.
                for person in track(range(people.shape[1]), f"camera pair {pair}"):
                    _write(mat, people[:, person], folder=folder, prefix=f"{pair}_{person + 1:03d}")
    except (KeyError, OSError, ValueError, IndexError) as e:
        raise DataError(f"{archive}: not the published cuhk-03.mat: {e}") from None


def _write(mat: Any, cells: Any, *, folder: Path, prefix: str) -> None:
    for index, reference in enumerate(cells):
        pixels = np.asarray(mat[reference])
        if pixels.ndim != 3:  # a person with fewer than ten crops has empty cells
            continue
        view = 1 if index < FIRST_OF_VIEW_2 else 2
        image = Image.fromarray(np.ascontiguousarray(pixels.T))
        image.save(folder / f"{prefix}_{view}_{index + 1:02d}.png")
