"""`check` reads the trainers' configurations and names the line that is wrong."""

import pytest
from check_cases import ALL, mask_of, right, told

from automask.check.config_rules import RULES
from automask.check.settings import read_document
from automask.errors import ConfigError
from automask.trainers.conventions import TRAINERS

WRONG = [
    # trainer, file, right text, wrong text, line offset, words of the message
    ("kohya", 0, "masked_loss = true", "masked_loss = false", 0, "masked_loss is false"),
    ("kohya", 1, "random_crop = false", "random_crop = true", 0, "random_crop is true"),
    ("kohya", 1, "random_crop = false", 'metadata_file = "m.json"', 0, "fine-tuning"),
    ("kohya", 1, "/masks", "/nothing", 0, "no folder"),
    ("kohya", 1, "/masks", "/images", 0, "its own mask"),
    ("kohya", 1, "conditioning_data_dir", "x", -2, "conditioning_data_dir is missing"),
    ("kohya-alpha", 0, "alpha_mask = true", "alpha_mask = false", 0, "alpha_mask is false"),
    ("kohya-alpha", 0, "alpha_mask = true", "num_repeats = 1", -2, "alpha_mask is not set"),
    ("kohya-alpha", 0, "alpha_mask = true", 'alpha_mask = true\nconditioning_data_dir = "m"', 1, "wins over"),
    ("onetrainer", 0, '"masked_training": true', '"masked_training": false', 0, "masked_training is false"),
    ("onetrainer", 0, '"unmasked_probability": 0.0', '"unmasked_probability": 0.1', 0, "unmasked_probability is 0.1"),
    ("onetrainer", 0, '"unmasked_weight": 0.0', '"unmasked_weight": 0.1', 0, "unmasked_weight is 0.1"),
    ("onetrainer", 0, '"unmasked_weight"', '"x"', None, "unmasked_weight is not set"),
    ("onetrainer", 0, "XL_10_BASE", "XL_10_BASE_INPAINTING", 0, "switches masked loss off"),
    ("ai-toolkit", 0, "mask_min_value: 0.0", "mask_min_value: 0.1", 0, "mask_min_value is 0.1"),
    ("ai-toolkit", 0, "mask_min_value: 0.0", "buckets: false", 0, "buckets is false"),
    ("ai-toolkit", 0, "mask_min_value: 0.0", "invert_mask: true", 0, "invert_mask is true"),
    ("ai-toolkit", 0, "mask_path:", "mask_dir:", -1, "mask_path is missing"),
    ("simpletuner", 0, '"conditioning_type": "mask"', '"conditioning_type": "segmentation"', 0, "segmentation"),
    ("simpletuner", 0, '"dataset_type": "conditioning"', '"dataset_type": "image"', 0, "dataset_type"),
    ("simpletuner", 0, '"conditioning_data": "msk"', '"conditioning_data": "nope"', 0, "nope"),
    ("simpletuner", 0, '"conditioning_data": "msk"', '"x": "msk"', -4, "conditioning_data is missing"),
    ("invoke", 0, "use_masks: true", "use_masks: false", 0, "use_masks is false"),
    ("invoke", 0, "use_masks: true", "seed: 1", None, "use_masks is not set"),
    ("invoke", 0, "SDXL_LORA", "FLUX_LORA", 0, "never applies"),
    ("musubi", 0, '"_wmask.png"', '"_mask.png"', 0, "watermark_mask_suffix is"),
    ("musubi", 0, "watermark_mask_suffix", "x", -3, "watermark_mask_suffix is not set"),
    ("animalora", 0, "masked_loss: true", "masked_loss: false", 0, "masked_loss is false"),
    ("animalora", 0, "masked_loss", "x", None, "masked_loss is not set"),
]


@pytest.mark.parametrize(("trainer", "file", "old", "new", "offset", "words"), WRONG)
def test_the_wrong_line_is_named(tmp_path, trainer, file, old, new, offset, words):
    case = right(tmp_path, trainer)
    line = case.edit(old, new, at=file)
    findings = [finding for finding in case.check().findings if words in finding.message]
    assert findings, [finding.message for finding in case.check().findings]
    assert findings[0].severity == "error"
    assert findings[0].file == str(case.config[file])
    if offset is not None:
        assert findings[0].line == line + offset


def test_diffusion_pipe_follows_to_the_dataset_file(tmp_path):
    case = right(tmp_path, "diffusion-pipe")
    dataset = tmp_path / "config.toml"
    dataset.write_text(dataset.read_text().replace("mask_path", "masks"))
    (finding,) = case.check().findings
    assert (finding.code, finding.file, finding.line) == ("config-key", str(dataset), 3)


@pytest.mark.parametrize("trainer", ["kohya", "ai-toolkit", "simpletuner", "diffusion-pipe", "musubi"])
def test_a_configuration_for_another_folder(tmp_path, trainer):
    case = right(tmp_path, trainer)
    other = tmp_path / "others"
    other.mkdir()
    at = 1 if trainer == "kohya" else 0
    if trainer == "diffusion-pipe":
        case.config = [tmp_path / "config.toml"]
    line = case.edit(f"{case.images}", str(other), at=at)
    finding = next(finding for finding in case.check().findings if finding.code == "config-folder")
    assert finding.line == line


@pytest.mark.parametrize(
    ("trainer", "old", "new"),
    [
        ("onetrainer", "STABLE_DIFFUSION_XL_10_BASE", "SANA"),
        ("ai-toolkit", "arch: sdxl", "arch: hunyuan_image"),
    ],
)
def test_g13_the_model_decides_the_cell(tmp_path, trainer, old, new):
    case = right(tmp_path, trainer)
    case.put_mask("a.png", mask_of((40, 20, 280, 40), (40, 77, 280, 97), (40, 126, 280, 146), (40, 190, 280, 210)))
    assert case.codes() == set()
    case.edit(old, new)
    report = case.check()
    assert report.lens.cell_px == 32
    assert "masks-too-tight" in {str(finding.code) for finding in report.findings}
    assert "cell-size" in case.codes(cell_px=8)


def test_floors_of_the_settings_show_in_the_effective_weight(tmp_path):
    for trainer, old in (("onetrainer", '"unmasked_weight": 0.0'), ("ai-toolkit", "mask_min_value: 0.0")):
        case = right(tmp_path / trainer, trainer)
        case.edit(old, old.replace("0.0", "0.1"))
        assert case.check().images[0].effective_weight == pytest.approx(0.1, abs=0.03)


def test_the_resolution_of_the_configuration_counts_unless_told(tmp_path):
    case = right(tmp_path, "kohya")
    assert case.check().lens.training_px == 256
    assert case.check(training_px=512).lens.training_px == 512


def test_every_trainer_has_rules():
    assert set(RULES) == set(TRAINERS) == set(ALL)


YAML = """\
# comment
a: 1
list:
  - name: x
    value: true
  - {name: y, value: 2.5}
base: &base
  deep: {key: "text"}
merged:
  <<: *base
"""
TOML = """\
a = 1
text = '''
[[not.a.header]]
b = 2
'''
[table]
"quoted key".inner = 3
[[list]]
name = "x"
[[list.sub]]
value = 1
[[list]]
name = "y"
inline = [
  { z = 1 },
]
"""
JSON = """\
{
  "a": [1, {"b": null}],

  "c": {"d": "e\\"}"}
}
"""


def lines_of(path, *wanted):
    document = read_document(path)
    found = []
    for keys in wanted:
        node = document.root
        for key in keys:
            node = node.items[key] if isinstance(key, int) else node.mapping[key]
        found.append((node.line, node.scalar))
    return found


def test_lines_of_the_three_languages(tmp_path):
    for name, text in (("x.yaml", YAML), ("x.toml", TOML), ("x.json", JSON)):
        (tmp_path / name).write_text(text)
    assert lines_of(
        tmp_path / "x.yaml", ("a",), ("list", 0, "value"), ("list", 1, "value"), ("base", "deep", "key")
    ) == [(2, 1), (5, True), (6, 2.5), (8, "text")]
    assert read_document(tmp_path / "x.yaml").root.get("merged", "deep", "key").scalar == "text"
    assert lines_of(
        tmp_path / "x.toml",
        ("a",),
        ("table", "quoted key", "inner"),
        ("list", 0, "name"),
        ("list", 0, "sub", 0, "value"),
        ("list", 1, "name"),
        ("list", 1, "inline", 0, "z"),
    ) == [(1, 1), (7, 3), (9, "x"), (11, 1), (13, "y"), (14, 1)]
    assert lines_of(tmp_path / "x.json", ("a", 0), ("a", 1, "b"), ("c", "d")) == [(2, 1), (2, None), (4, 'e"}')]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.json", '{\n"a": 1,\n}', "line 3"),
        ("x.json", '{"a": tru}', "line 1"),
        ("x.json", '{"a": "b', "line 1"),
        ("x.json", "[1] 2", "follows"),
        ("x.json", "", "line 1"),
        ("x.yaml", "a: 1\nb: [", "line 2"),
        ("x.toml", "a = 1\nb = x", "line 2"),
        ("x.ini", "a=1", "neither"),
        ("x.toml", None, "Cannot read"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, text, words):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_document(path)


@pytest.mark.parametrize("trainer", ["kohya", "diffusion-pipe"])
def test_one_entry_for_each_folder(tmp_path, trainer):
    case = right(tmp_path, trainer)
    path = tmp_path / "config.toml"
    one = path.read_text()
    head, entry = one.split("[[datasets.subsets]]" if trainer == "kohya" else "[[directory]]")
    entries = []
    for folder in ("one", "two"):
        for root in (case.images, case.masks):
            (root / folder).mkdir()
        entries.append(
            ("[[datasets.subsets]]" if trainer == "kohya" else "[[directory]]")
            + entry.replace(f'{case.images}"', f'{case.images}/{folder}"').replace(
                f'{case.masks}"', f'{case.masks}/{folder}"'
            )
        )
    for name, folder in (("a.png", "one"), ("b.png", "one"), ("c.png", "two")):
        (case.images / name).rename(case.images / folder / name)
        case.mask_path(name).rename(case.masks / folder / name)
    path.write_text(head + "\n".join(entries))
    report = case.check()
    assert told(report) == ()
    assert report.layout.masks_root == case.masks
    assert [pair.name for pair in report.layout.pairs] == ["one/a.png", "one/b.png", "two/c.png"]


@pytest.mark.parametrize(
    ("trainer", "old", "new", "training_px"),
    [
        ("ai-toolkit", "- 256", "- 512\n      - 768\n      - 1024", 512),
        ("onetrainer", '"256"', '"512,1024x768"', 512),
        ("onetrainer", '"256"', '"1024x256"', 512),
        ("diffusion-pipe", "[256]", "[[1024, 256], 768]", 512),
        ("kohya", "resolution = 256", "resolution = [1024, 256]", 512),
        ("kohya-alpha", "[256, 256]", '"1024,256"', 512),
        ("musubi", "[256, 256]", "[1024, 256]", 512),
        ("musubi-fork", "[256, 256]", "[1024, 256]", 512),
        ("simpletuner", '"resolution": 256', '"resolution": 0.25', 512),
        ("invoke", "resolution: 256", "resolution: 512", 512),
    ],
)
def test_resolutions_as_each_trainer_writes_them(tmp_path, trainer, old, new, training_px):
    case = right(tmp_path, trainer)
    if trainer == "diffusion-pipe":
        case.config = [tmp_path / "config.toml"]
    case.edit(old, new, at=1 if trainer == "kohya" else 0)
    assert case.check().lens.training_px == training_px
