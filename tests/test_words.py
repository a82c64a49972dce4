"""One word a thing: what was called by a word of our own before is not called so again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLASSES = {
    "Found": "SearchResult",
    "Piece": "QueryItem",
    "Resident": "InMemoryIndex",
    "Space": "EmbeddingSpace",
    "Shelf": "TTLCache",
    "Shell": "a middleware",
    "Tap": "FeatureHook",
    "Needs": "Requirements",
    "NobodyError": "NoPersonDetectedError",
}
ELSEWHERE = {"Piece": "world/"}  # a piece of a figure is one
FLAGS = {"--anyway": "--skip-person-check", '"anyway"': '"skip_person_check"'}


MODULES = {
    "ahead": "prefetch",
    "clock": "timestamps",
    "files": "atomic_io",
    "given": "precomputed",
    "hider": "occluder",
    "ready": "postprocessed",
    "shipped": "pretrained",
}
CONSTANTS = {"MOST": "MAX_", "FEWEST": "MIN_", "LEAST": "MIN_", "SHOWN": "what is shown"}


def sources(*suffixes: str) -> list[Path]:
    return sorted(p for p in (ROOT / "src/unveil").rglob("*") if p.suffix in suffixes)


@pytest.mark.parametrize("word", CLASSES)
def test_no_class_or_name_is_called_by_a_word_of_our_own(word):
    named = re.compile(rf"^\s*class {word}\b|import .*\b{word}\b|[:>] {word}\b[,)\]: =]", re.MULTILINE)
    wrong = [
        f"{path.relative_to(ROOT)}: {found.group().strip()}"
        for path in sources(".py")
        if ELSEWHERE.get(word, "/no/") not in path.as_posix()
        for found in named.finditer(path.read_text())
    ]
    assert not wrong, f"{word} is called {CLASSES[word]}"


@pytest.mark.parametrize("word", FLAGS)
def test_no_flag_or_key_is_called_by_a_word_of_our_own(word):
    files = [*sources(".py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    assert not [str(p.relative_to(ROOT)) for p in files if word in p.read_text()], f"{word} is {FLAGS[word]}"


@pytest.mark.parametrize("word", MODULES)
def test_no_module_is_called_by_a_word_of_our_own(word):
    assert not [str(p.relative_to(ROOT)) for p in sources(".py") if p.stem == word], f"{word} is {MODULES[word]}"


@pytest.mark.parametrize("word", CONSTANTS)
def test_no_constant_is_called_by_a_word_of_our_own(word):
    named = re.compile(rf"^{word}(_[A-Z_]+)?( *:.*)? = ", re.MULTILINE)
    assert not [str(p.relative_to(ROOT)) for p in sources(".py") if named.search(p.read_text())], CONSTANTS[word]


def test_the_words_are_found_where_they_are():
    """The pattern above sees a class, an import and an annotation."""
    named = re.compile(r"^\s*class Found\b|import .*\bFound\b|[:>] Found\b[,)\]: =]", re.MULTILINE)
    assert len(named.findall("class Found:\nfrom x import Found, y\ndef f(a: Found, b) -> Found:\n# Found out\n")) == 4
