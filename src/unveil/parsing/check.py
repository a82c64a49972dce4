"""Do the parsing maps of a dataset fit their images and their label set?"""

from __future__ import annotations

from unveil.data.images import image_size, read_labels
from unveil.errors import DataError
from unveil.label_sets import SCHEMES, Scheme, check_labels
from unveil.progress import track
from unveil.records import Dataset, Sample


def check_parsing(dataset: Dataset) -> list[str]:
    """Open every map of a dataset; return one sentence a wrong file: unreadable, other size, unknown labels.

    Labels are not looked at when the scheme is none of this package (the world has its own).
    """
    if dataset.parsing_scheme is None:
        return []
    problems = []
    for sample in track([s for s in dataset.samples if s.parsing], "checking parsing maps"):
        try:
            check_map(sample, SCHEMES.get(dataset.parsing_scheme))
        except DataError as e:
            problems.append(str(e))
    return problems


def check_map(sample: Sample, scheme: Scheme | None) -> None:
    """Refuse the parsing map of one sample when it cannot be used.

    Raises:
        DataError: unreadable, unknown labels, or a size other than the image's; the message names the file.
    """
    if sample.parsing is None:
        return
    labels = read_labels(sample.parsing)
    if scheme is not None:
        check_labels(labels, scheme, path=sample.parsing)
    if sample.path is None:
        return
    width, height = image_size(sample.path)
    if labels.shape != (height, width):
        raise DataError(
            f"{sample.parsing}: the map is {labels.shape[1]}x{labels.shape[0]} but its image {sample.path} is "
            f"{width}x{height} (width x height); parse the image again or resize the map by nearest neighbour"
        )
