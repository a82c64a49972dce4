"""One word a thing: what was called by a word of our own before is not called so again."""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections.abc import Iterator
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
FLAGS = {
    "--anyway": "--skip-person-check",
    '"anyway"': '"skip_person_check"',
    "--from judgements": "--from feedback",
    "--keep ": "--retention",
    "--pictures": "--images",
    '"keep_seconds"': '"retention_seconds"',
    '"picture"': '"image"',
    '"judge"': '"feedback"',
    '"hidden_person"': '"occluded_person"',
}
# Names in Python, whole or in part; SQL keeps the names of tables and columns that stores have.
IDENTIFIERS = {
    r"picture": "image",
    r"judge": "feedback",
    r"^coarse$|coarse_(vectors?|query)": "first stage",
    r"worth": "quality",
    r"^(_?moments?|until)$": "timestamp, end_time, deadline",
    r"^_?ways?$": "transition, path",
    r"^(set_keep|checked_keep|keep_seconds)$": "retention",
    r"^wipes?$": "purge",
    r"deviation": "std",
    r"hidden_(person|part|fraction|quer)|without_hidden": "occluded",
    r"_a_(second|crop|frame)$": "per",
    r"resident$": "in_memory",
    r"^grammar$": "pattern",
    r"^film$": "video",
}
# What people read: docstrings, messages, help, comments, the page and the docs.
TEXTS = {
    r"\bpictures?\b(?!/)": "image",
    r"\bjudg(e[sd]?|ements?|ing)\b": "feedback",
    r"\bcoarse (stage|vectors?|search|query)\b": "first stage",
    r"\b([Gg]o(es)?|went) on (where|when|with|after a kill|from (it|there))\b": "resumes",
    r"\bto the (same )?bit\b": "bit-exactly",
    r"\b(frames|crops|images|rows|vectors|steps|metres) a second\b": "per second",
    r"\b(ms|milliseconds|megapixels|MB) an? (crop|frame|image)\b": "per",
    r"\blook(s|ed)? at (all|each|every|no more)\b[^.]*\bframes?\b|\bframes? that (is|are) looked at": "sample",
    r"\bhidden (parts?|person|people|quer(y|ies)|bod(y|ies)|here|in the query)\b|\bbody is hidden\b": "occluded",
    r"(?<!standard )\bdeviations?\b": "standard deviation",
    r"\bgrammar\b": "filename pattern",
    r"\bworth of\b": "quality score of",
}
WHERE_IT_IS_MEANT = {
    "image": ("docs/architecture.md", "docs/decisions/"),  # the picture of the layers
    "first stage": ("src/unveil/data/augment/",),
}  # fmt: skip
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|JOIN|COPY|VACUUM)\b")
SQL_PARTS = re.compile(r"""f?["'](ON CONFLICT .*|.* (pictures|coarse) .*|.*\bp\.picture\b.*)["']""", re.DOTALL)


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


def meant(path: Path, word: str) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return name.startswith(WHERE_IT_IS_MEANT.get(word, ("/",)))


def tokens(path: Path) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(path.read_text()).readline))


@pytest.fixture(scope="module")
def names() -> dict[Path, set[str]]:
    """The identifiers of each file."""
    return {path: {t.string for t in tokens(path) if t.type == tokenize.NAME} for path in sources(".py")}


def read_by_people(path: Path) -> Iterator[str]:
    """Yield what people read of a file, piece by piece."""
    if path.suffix == ".py":
        for token in tokens(path):
            told = token.type == tokenize.COMMENT or (token.type == tokenize.STRING and " " in token.string)
            if told and not SQL.search(token.string) and not SQL_PARTS.fullmatch(token.string):
                yield token.string
    elif path.name == "words.json":
        yield from (word["en"] for word in json.loads(path.read_text()).values())
    else:
        yield from re.sub(r"```.*?```|\]\([^)]*\)|`[^`]*`", " ", path.read_text(), flags=re.DOTALL).split("\n\n")


@pytest.fixture(scope="module")
def texts() -> dict[Path, list[str]]:
    files = [*sources(".py", ".html"), ROOT / "src/unveil/server/static/words.json", ROOT / "README.md"]
    files += sorted((ROOT / "docs").rglob("*.md"))
    return {path: list(read_by_people(path)) for path in files}


@pytest.mark.parametrize("word", IDENTIFIERS)
def test_no_name_in_python_is_a_word_of_our_own(word, names):
    old, new = re.compile(word), IDENTIFIERS[word]
    found = [
        f"{path.relative_to(ROOT)}: {name}" for path, there in names.items() if not meant(path, new)
        for name in sorted(there) if old.search(name)
    ]  # fmt: skip
    assert not found, f"it is called {new}: {found}"


@pytest.mark.parametrize("word", TEXTS)
def test_no_text_says_a_word_of_our_own(word, texts):
    old, new = re.compile(word), TEXTS[word]
    found = [
        f"{path.relative_to(ROOT)}: {hit.group()} in {piece[:80]!r}" for path, pieces in texts.items()
        if not meant(path, new) for piece in pieces if (hit := old.search(piece))
    ]  # fmt: skip
    assert not found, f"it is called {new}: {found}"


@pytest.mark.parametrize("word", ["Box", "Figure", "Hit", "Part", "Stage", "Step"])
def test_one_class_alone_has_a_name_that_could_mean_several_things(word):
    named = re.compile(rf"^class {word}\b", re.MULTILINE)
    found = [path.relative_to(ROOT).as_posix() for path in sources(".py") if named.search(path.read_text())]
    assert len(found) < 2, found


def test_the_words_are_found_where_they_are():
    """The pattern above sees a class, an import and an annotation."""
    named = re.compile(r"^\s*class Found\b|import .*\bFound\b|[:>] Found\b[,)\]: =]", re.MULTILINE)
    assert len(named.findall("class Found:\nfrom x import Found, y\ndef f(a: Found, b) -> Found:\n# Found out\n")) == 4
    assert re.search(next(w for w in TEXTS if "looked" in w), "the frames that are looked at")
    assert re.search(next(w for w in IDENTIFIERS if "worth" in w), "picture_worth")
