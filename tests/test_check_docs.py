"""The guides of check, captions, fill and training say what is there."""

import re
from pathlib import Path

import pytest

from automask.captions import clean_caption, load_words
from automask.check import Code
from automask.fill.methods import Fill
from automask.trainers.conventions import TRAINERS
from automask.values.types import Kind

DOCS = Path(__file__).parent.parent / "docs"


def read(name):
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_code_has_a_row_and_a_trap():
    guide = read("check.md")
    table = set(re.findall(r"^\| `([a-z-]+)` \|", guide, re.MULTILINE))
    assert table == {code.value for code in Code}
    before_codes = guide[: guide.index("## Codes")]
    assert [code for code in sorted(table) if f"`{code}`" not in before_codes] == []


def test_every_trap_and_trainer_is_named():
    guide = read("check.md")
    assert re.findall(r"^\| G(\d+) ", guide, re.MULTILINE) == [str(number) for number in range(1, 14)]
    assert [name for name in TRAINERS if f"`{name}`" not in guide] == []


def test_examples_of_captions_are_true():
    words = load_words().of(list(Kind))
    rows = re.findall(r"^\| (A .*|The .*) \| (.*) \|$", read("captions.md"), re.MULTILINE)
    assert len(rows) == 4
    for before, after in rows:
        assert clean_caption(before, words) == (before if after.startswith("(unchanged") else after)


def test_words_in_the_guide_are_valid(tmp_path):
    path = tmp_path / "w.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", read("captions.md"), re.DOTALL).group(1))
    assert clean_caption("cat, my_sitename, brand logo", load_words([path]).of([Kind.WATERMARK])) == "cat, brand logo"


@pytest.mark.parametrize("fill", list(Fill))
def test_every_fill_is_described(fill):
    assert f"| `{fill}`" in read("fill.md")


def test_functions_of_the_training_guide_exist():
    source = (DOCS.parent / "automask" / "training.py").read_text(encoding="utf-8")
    for name in re.findall(r"^\| `(\w+)\(", read("training.md"), re.MULTILINE):
        assert re.search(rf"^(def {name}\(|class {name}[:(])", source, re.M), name
