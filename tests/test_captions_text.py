"""Tags and sentences about masked things go; everything else stays, and stays grammatical."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automask.captions import clean_caption, load_words
from automask.captions.tags import split_tags
from automask.errors import ConfigError
from automask.values.types import Kind

LISTS = load_words()
ALL = LISTS.of([Kind.TEXT, Kind.WATERMARK, Kind.FRAME])

TAGS = [
    ("1girl, solo, english_text, (watermark:1.2), smile, artist_name", "1girl, solo, smile"),
    ("1girl, (text, logo:1.3), ((signature)), [border], {caption}, hat", "1girl, hat"),
    (r"1girl, (cat, text:1.2), name_\(series\), letterboxed", r"1girl, (cat:1.2), name_\(series\)"),
    ("1girl,text,smile", "1girl,smile"),
    ("Speech Bubble, TWITTER_USERNAME, Cat, dog", "Cat, dog"),
    ("cat, watermark:1.5, dog", "cat, dog"),
    ("cat, dog, watermark", "cat, dog"),
    ("watermark", ""),
    ("english_text", ""),
    ("1girl, broken (bracket, text, hat", "1girl, broken (bracket, hat"),
    ("1girl, red car with text, hat", "1girl, red car, hat"),
    ("1girl, :), ;d, looking_at_viewer, texting, textless_version", None),
    ("1girl, window frame, picture frame, seal, number, holding phone", None),
    ("1girl , solo,  double  space,", None),
]

SENTENCES = [
    ("A cat sits on a mat with a watermark in the bottom right corner.", "A cat sits on a mat."),
    ("A cat sits on a mat. There is a watermark in the corner.", "A cat sits on a mat."),
    ("There's a small logo at the top. A cat sits.", "A cat sits."),
    ('A photo of a dog, with a white border and the text "HELLO. WORLD" at the bottom.', "A photo of a dog."),
    ('The text reads "Big Sale!" A woman holds a bag.', "A woman holds a bag."),
    ("The text reads \u201cBig. Sale\u201d. A woman holds a bag.", "A woman holds a bag."),
    ("A woman with a red hat and a signature in the corner.", "A woman with a red hat."),
    ("A woman with a watermark and a red hat stands in the rain.", "A woman with a red hat stands in the rain."),
    ("A man in a suit, a small logo in the lower left corner, and a dog.", "A man in a suit and a dog."),
    ("A dog, a cat, and a watermark.", "A dog and a cat."),
    ("A dog, text, and a cat.", "A dog and a cat."),
    ("The image has a black border. A girl sleeps.", "A girl sleeps."),
    ("The image is surrounded by a golden frame. A girl sleeps.", "A girl sleeps."),
    ('A girl sleeps, and the words "Good night" are written above her.', "A girl sleeps."),
    ('A poster featuring a car with large, white text that reads "FAST" across the top.', "A poster featuring a car."),
    ("A knight in front of a castle; the artist's signature is visible in the lower right.",
     "A knight in front of a castle."),
    ("Text over a photo of a mountain.", "A photo of a mountain."),
    ("A comic panel with speech bubbles showing two men arguing.", "A comic panel showing two men arguing."),
    ("A woman on a beach while a watermark covers the image.", "A woman on a beach."),
    ("A girl with long hair, blue eyes and text on her shirt.", "A girl with long hair and blue eyes."),
    ("A vintage card depicting a king, surrounded by a decorative border.", "A vintage card depicting a king."),
    ("In the lower right corner, there is a watermark. A cat sleeps.", "A cat sleeps."),
    ("This image shows a cat. The bottom right corner contains a signature.", "This image shows a cat."),
    ("A black and white photo with a thin black border shows a woman.", "A black and white photo shows a woman."),
    ("A manga page featuring a boy, speech bubbles, and sound effects.", "A manga page featuring a boy."),
    ("A man looking through a window frame with a watermark on it.", "A man looking through a window frame."),
    ("The cat is black. Watermark at the bottom.\n\nIts eyes are green.", "The cat is black.\n\nIts eyes are green."),
    ("There is text at the top.", ""),
]  # fmt: skip

UNTOUCHED = [
    "A watermark and a cat are visible.",  # something else in the same breath
    "A girl reading a book, letters on the table.",
    "A scene with two characters in a forest.",
    "A man sitting at a desk and writing.",
    "A house with a border collie.",
    "A smile with his signature look.",
    "A framed picture hangs on the wall.",
    "He is looking through a window frame.",
    'She said "with a watermark in the corner" and left.',
    "A seal on a beach.",
    "An old man and a young woman, dancing.",
    "",
    "\n",
    "  leading space, and nothing else  ",
    "\ue000 private use with a watermark",
]


@pytest.mark.parametrize(("caption", "expected"), TAGS)
def test_tags(caption, expected):
    assert clean_caption(caption, ALL) == (caption if expected is None else expected)


@pytest.mark.parametrize(("caption", "expected"), SENTENCES)
def test_sentences(caption, expected):
    assert clean_caption(caption, ALL) == expected


@pytest.mark.parametrize("caption", UNTOUCHED)
def test_what_is_not_about_masked_things_stays_to_the_character(caption):
    assert clean_caption(caption, ALL) == caption


def test_tags_with_sentences_behind_them():
    caption = "1girl, solo, watermark, A girl stands in a park with a speech bubble."
    assert clean_caption(caption, ALL) == "1girl, solo, A girl stands in a park."


def test_only_the_kinds_that_are_masked():
    caption = "1girl, text, watermark, border"
    assert clean_caption(caption, LISTS.of([Kind.TEXT])) == "1girl, watermark, border"
    assert clean_caption(caption, LISTS.of([Kind.FRAME])) == "1girl, text, watermark"
    assert clean_caption(caption, LISTS.of([])) == caption
    sentence = "A cat with a watermark. The image has a border."
    assert clean_caption(sentence, LISTS.of([Kind.FRAME])) == "A cat with a watermark."


def test_words_of_the_user(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[text]\ntags = ["sfx", "* kanban"]\nnouns = ["price sticker"]\nkeep = ["sound effects"]\n')
    words = load_words([path]).of([Kind.TEXT])
    assert clean_caption("cat, sfx, red_kanban, sound_effects, text", words) == "cat, sound_effects"
    assert clean_caption("A bottle with two price stickers.", words) == "A bottle."
    assert clean_caption("cat, sfx", ALL) == "cat, sfx"


@pytest.mark.parametrize(
    ("text", "message"), [("[texts]\ntags = []", "texts"), ("a = ", "TOML"), ("[text]\ntags = 3", "tags")]
)
def test_wrong_words_are_refused(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_words([path])
    with pytest.raises(ConfigError, match="Cannot read"):
        load_words([tmp_path / "none.toml"])


def test_long_and_repetitive_captions_take_no_time():
    started = time.perf_counter()
    for unit in ("text and ", "with text in the ", "a large, white, ", "the top left corner of the image of ", "text "):
        clean_caption("A " + unit * 150 + "cat.", ALL)
    assert time.perf_counter() - started < 10


@given(st.text(alphabet="ab(),[]{}:\\_ 1.", max_size=40))
def test_any_text_survives_without_words(caption):
    nothing = LISTS.of([])
    assert clean_caption(caption, nothing) == caption
    assert ",".join(split_tags(caption)) == caption


@given(st.text(max_size=60))
def test_any_text_can_be_cleaned_twice(caption):
    once = clean_caption(caption, ALL)
    assert len(once) <= len(caption) + caption.count(",")
    assert clean_caption(once, ALL) in (once, clean_caption(clean_caption(once, ALL), ALL))
