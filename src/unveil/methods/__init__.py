"""Methods, one a file; adding one is a file, a line in `METHODS`, a recipe and a test."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from pydantic import TypeAdapter, ValidationError

from unveil.errors import RecipeError, nearest
from unveil.methods.method import LabelSpace, Method, Requirements
from unveil.nn.backbones.backbone import Backbone

METHODS = {
    "histogram": "unveil.methods.baselines.histogram:Histogram",
    "aim": "unveil.methods.baselines.aim:AIM",
    "bot": "unveil.methods.baselines.bot:BoT",
    "bpbreid": "unveil.methods.baselines.bpbreid:BPBReID",
    "cal": "unveil.methods.baselines.cal:CAL",
    "cre": "unveil.methods.cre:CRE",
    "dual": "unveil.methods.dual:Dual",
    "ianet": "unveil.methods.baselines.ianet:IANet",
    "oc4": "unveil.methods.oc4:OC4",
    "ocnet": "unveil.methods.ocnet:OCNet",
    "pab": "unveil.methods.pab:PAB",
    "pcb": "unveil.methods.baselines.pcb:PCB",
    "sbs": "unveil.methods.baselines.sbs:SBS",
    "ssgr": "unveil.methods.ssgr:SSGR",
    "combined": "unveil.methods.combined:Combined",
}


def method_class(name: str) -> type[Method]:
    """Return the class of a method.

    Raises:
        RecipeError: no method has that name.
    """
    if name not in METHODS:
        raise RecipeError(f"unknown method {name!r}{nearest(name, METHODS)}; known: {', '.join(sorted(METHODS))}")
    module, _, attribute = METHODS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def method_settings(name: str, values: dict[str, Any]) -> Any:
    """Validate settings of a method against its frozen dataclass (an unknown key or a wrong type is an error)."""
    settings = method_class(name).Settings
    known = [field.name for field in dataclasses.fields(settings)]
    for key in values:
        if key not in known:
            raise RecipeError(f"method {name}: unknown setting {key!r}{nearest(key, known)}; known: {', '.join(known)}")
    try:
        return TypeAdapter(settings).validate_python(values)
    except ValidationError as e:
        problems = (f"{'.'.join(map(str, p['loc']))}: {p['msg']}, found {p['input']!r}" for p in e.errors())
        raise RecipeError(f"method {name}: " + "; ".join(problems)) from None


def method_requirements(name: str, values: dict[str, Any]) -> Requirements:
    """Return what a method with these settings needs, without building it: its needs follow from its settings alone."""
    return _bare(name, values).requirements


def training_settings(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return all settings of a method that its training depends on, in full: two that agree in them train the same.

    Raises:
        RecipeError: the method or one of its settings is unknown.
    """
    bare = _bare(name, values)
    settings = dataclasses.asdict(bare.settings)
    return {key: value for key, value in settings.items() if key not in bare.test_settings}


def build_method(name: str, values: dict[str, Any], *, backbone: Backbone, space: LabelSpace) -> Method:
    """Return a method with its heads sized by the label space."""
    return method_class(name)(backbone, space, settings=method_settings(name, values))


def _bare(name: str, values: dict[str, Any]) -> Method:
    """Return a method with its settings and nothing else, for what follows from these alone."""
    kind = method_class(name)
    bare = kind.__new__(kind)
    object.__setattr__(bare, "settings", method_settings(name, values))
    return bare
