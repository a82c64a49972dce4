"""The page's words: every text in one catalogue, in every language, with the same names to fill in."""

import json
import re

import pytest

from unveil.server.routes.page import FOLDER

WORDS = json.loads((FOLDER / "words.json").read_text())
LANGUAGES = {"en", "de", "fr", "es", "zh"}
SCRIPTS = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.js"))}
HTML = (FOLDER / "index.html").read_text()
FORMS = ("one", "other")


def used() -> tuple[set[str], set[str]]:
    """Return the keys that the page asks for, and beginnings of keys that it completes itself."""
    keys = set(re.findall(r'data-t(?:-[a-z-]+)?="([^"]+)"', HTML))
    beginnings = set()
    for text in SCRIPTS.values():
        keys |= set(re.findall(r'\bt\("([a-z.-]+)"', text))
        keys |= {f"{key}.{form}" for key in re.findall(r'\btn\("([a-z.-]+)"', text) for form in FORMS}
        keys |= {word for word in re.findall(r'"([a-z]+\.[a-z-]+(?:\.[a-z]+)?)"', text) if word in WORDS}
        keys |= {f"{word}.{form}" for word in re.findall(r'"(count\.[a-z]+)"', text) for form in FORMS}
        beginnings |= set(re.findall(r"\bt\(`([a-z.-]+)\$\{", text))
    return keys, beginnings


def test_every_text_is_there_in_every_language():
    for key, texts in WORDS.items():
        assert set(texts) == LANGUAGES, key
        assert all(text.strip() == text and text for text in texts.values()), key
        names = {language: sorted(re.findall(r"\{(\w+)\}", text)) for language, text in texts.items()}
        assert all(found == names["en"] for found in names.values()), (key, names)
    same = [key for key, texts in WORDS.items() if len(texts["en"]) > 24 and texts["en"] in (texts["de"], texts["zh"])]
    assert same == []


def test_every_key_that_the_page_asks_for_is_there_and_every_key_is_asked_for():
    keys, beginnings = used()
    assert len(keys) > 250
    assert sorted(keys - WORDS.keys()) == []
    unused = [key for key in WORDS if key not in keys and not key.startswith(tuple(beginnings))]
    assert unused == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_sentence_stands_in_a_script(name):
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", SCRIPTS[name], flags=re.DOTALL)
    classes = re.findall(r'classList\.\w+\("([^"]*)"', code)
    classes += [
        name for value in re.findall(r"class: ([^\n]*?)(?:,|\n)", code) for name in re.findall(r'"([^"]*)"', value)
    ]
    said = [text for text in re.findall(r'"([^"\n]*)"', code) if re.search(r"[A-Z][a-z]+ |[a-z]{2,} [a-z]{2,}", text)]
    assert [text for text in said if text not in classes and not re.match(r"[#.(]|nav |input", text)] == []
    templates = re.findall(r"`([^`]*)`", code)
    words = [text for text in templates if re.search(r"\b[A-Za-z]{3,} [a-z]{2,}", re.sub(r"\$\{.*\}", "", text))]
    assert [text for text in words if not text.startswith(("#", ".", "input", "/", "no text"))] == []


def test_no_text_stands_in_the_page_itself():
    body = re.sub(r"<svg.*?</svg>|<script.*?</script>|<option>\d+</option>", "", HTML, flags=re.DOTALL)
    texts = [text.strip() for text in re.findall(r">([^<]+)<", body)]
    assert {text for text in texts if re.search(r"[A-Za-z]{2}", text)} == {"unveil", "HTML", "CSV", "JSON"}
    assert re.findall(r'\s(?:aria-label|title|placeholder)="[^"]*[A-Za-z]', body) == []
