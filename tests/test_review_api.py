"""The server's half of the review page, without a browser."""

import base64
import io

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra api")

from dataset_samples import needs_byte_names
from export_cases import make_store as run_and_store
from export_cases import photograph, write_on
from fastapi.testclient import TestClient
from PIL import Image as PillowImage
from review_cases import make_store, packed, stored_levels

from automask.store import Decision, Store
from automask.values import rle
from automask_api.review.pictures import TILE_PX, VIEW_PX, tile_jpeg, view_jpeg
from automask_api.review.serving import build_app
from automask_api.review.source import ReviewSource, image_id_of, token_of

WIDTH_PX, HEIGHT_PX = 900, 600  # of coffee.jpg
COFFEE = token_of("coffee.jpg")
CAT = token_of("cat.jpg")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("review"))


@pytest.fixture
def root(tmp_path):
    return make_store(tmp_path)


@pytest.fixture
def page(root):
    with ReviewSource.open(root, author="ann") as source:
        yield TestClient(build_app(source), base_url="http://localhost")


def rows(page):
    answer = page.get("/review/api/queue").json()
    return {row[0]: dict(zip(answer["fields"], row, strict=True)) for row in answer["rows"]}


def square(x0, y0, x1, y1):
    artefact = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.bool_)
    artefact[y0:y1, x0:x1] = True
    return artefact


def put(page, layers, *, revision=0, token=COFFEE):
    return page.put(f"/review/api/images/{token}/correction", json=layers, headers={"If-Match": f'"{revision}"'})


def test_the_queue_is_worst_first_and_whole(page):
    assert list(rows(page)) == ["cat.jpg", "coffee.jpg", "deep-field.jpg", "rocket.jpg"]
    coffee = rows(page)["coffee.jpg"]
    assert (coffee["width_px"], coffee["height_px"]) == (WIDTH_PX, HEIGHT_PX)
    assert coffee["kinds"] == ["text", "watermark"]
    assert (coffee["verdict"], coffee["decision"], coffee["revision"]) == ("review", None, 0)


def test_an_image_comes_with_all_that_the_editor_needs(page):
    answer = page.get(f"/review/api/images/{COFFEE}")
    assert answer.headers["ETag"] == '"0"'
    image = answer.json()
    assert [region["kind"] for region in image["regions"]] == ["text", "watermark"]
    first = image["regions"][0]
    assert first["patch_box"] == [600, 500, 820, 560]
    assert rle.decode(base64.b64decode(first["patch"])).all()
    assert image["grid"]["growth_px"] == 6
    assert image["grid"]["columns"] * 8 == image["grid"]["width_px"]
    assert image["correction"] is None


def test_a_correction_is_kept_drawn_and_withdrawn(page, root):
    before = stored_levels(root, "coffee.jpg")
    assert before[140, 150] == 0
    saved = put(page, {"remove": packed(square(100, 100, 220, 180)), "add": packed(square(400, 300, 420, 320))})
    assert saved.status_code == 200, saved.text
    assert saved.headers["ETag"] == '"1"'
    assert saved.json()["verdict"] == "review", "only accepting settles it"
    drawn = stored_levels(root, "coffee.jpg")
    assert drawn[140, 150] == 255
    assert drawn[96, 150] == 255, "the ring around the removed region is gone, too"
    assert drawn[310, 410] == 0
    assert drawn[296, 410] == 0, "what was added has grown"
    assert drawn[530, 700] == 0, "the other region stands"
    assert rows(page)["coffee.jpg"]["revision"] == 1
    gone = page.delete(f"/review/api/images/{COFFEE}/correction", headers={"If-Match": '"1"'})
    assert gone.json()["revision"] == 2
    assert np.array_equal(stored_levels(root, "coffee.jpg"), before)
    back = page.post(
        f"/review/api/images/{COFFEE}/correction/revert", json={"to_revision": 1}, headers={"If-Match": '"2"'}
    )
    assert back.json()["revision"] == 3
    assert np.array_equal(stored_levels(root, "coffee.jpg"), drawn)
    history = page.get(f"/review/api/images/{COFFEE}/history").json()
    assert [(one["revision"], one["withdrawn"], one["author"]) for one in history] == [
        (3, False, "ann"), (2, True, "ann"), (1, False, "ann"),
    ]  # fmt: skip


def regions(page):
    return page.get(f"/review/api/images/{COFFEE}").json()["regions"]


def test_what_a_person_calls_a_region_is_kept_shown_and_withdrawn(page, root):
    first, second = regions(page)
    assert first["keys"][0] != second["keys"][0]
    before = stored_levels(root, "coffee.jpg")
    saved = put(page, {"kinds": {first["keys"][0]: "frame", "nobody 0,0,1,1": "text"}})
    assert (saved.status_code, saved.json()["kinds"]) == (200, ["frame", "watermark"])
    assert np.array_equal(stored_levels(root, "coffee.jpg"), before), "a kind alone changes no pixel"
    image = page.get(f"/review/api/images/{COFFEE}").json()
    assert image["correction"]["layers"]["kinds"] == {first["keys"][0]: "frame", "nobody 0,0,1,1": "text"}
    assert [(one["kind"], one["found_kind"], one["drawn"]) for one in image["regions"]] == [
        ("frame", "text", True), ("watermark", "watermark", True),
    ]  # fmt: skip
    assert (rows(page)["coffee.jpg"]["kinds"], rows(page)["coffee.jpg"]["revision"]) == (["frame", "watermark"], 1)
    gone = page.delete(f"/review/api/images/{COFFEE}/correction", headers={"If-Match": '"1"'})
    assert gone.json()["kinds"] == ["text", "watermark"]
    assert [one["kind"] for one in regions(page)] == ["text", "watermark"]
    revert = {"to_revision": 1}
    page.post(f"/review/api/images/{COFFEE}/correction/revert", json=revert, headers={"If-Match": '"2"'})
    assert [one["kind"] for one in regions(page)] == ["frame", "watermark"]


@pytest.mark.parametrize(
    "kinds", [{"a": "doodle"}, {"": "text"}, {"a" * 301: "text"}, {str(at): "text" for at in range(10_001)}, ["text"]]
)
def test_kinds_that_make_no_sense_are_refused(page, kinds):
    refused = put(page, {"kinds": kinds})
    assert refused.status_code == 422
    assert rows(page)["coffee.jpg"]["revision"] == 0


def test_two_people_are_told_apart(page, root):
    assert put(page, {"replaces": True}).status_code == 200
    late = put(page, {"add": packed(square(0, 0, 9, 9))})
    assert late.status_code == 412
    problem = late.json()
    assert problem["code"] == "correction-conflict"
    assert problem["newest"]["revision"] == 1
    assert problem["newest"]["author"] == "ann"
    assert put(page, {"add": packed(square(0, 0, 9, 9))}, revision=1).status_code == 200
    with Store.open(root, read_only=True) as store:
        content = store.lookup("coffee.jpg").content_sha256
        assert [one.revision for one in store.correction_history(content)] == [1, 2]


def test_decisions_are_kept_bulk_and_taken_back(page, root):
    answer = page.post("/review/api/decisions", json={"images": [COFFEE, CAT], "decision": "accepted"})
    assert answer.json()[CAT] == {"decision": "accepted", "verdict": "auto", "reasons": []}
    page.post("/review/api/decisions", json={"images": [COFFEE], "decision": "excluded"})
    with Store.open(root, read_only=True) as store:
        assert store.lookup("coffee.jpg").decision is Decision.EXCLUDED
        assert store.lookup("cat.jpg").decision is Decision.ACCEPTED
    answer = page.post("/review/api/decisions", json={"images": [COFFEE], "decision": None})
    again = answer.json()[COFFEE]
    assert (again["decision"], again["verdict"]) == (None, "review")
    assert again["reasons"] == rows(page)["coffee.jpg"]["reasons"] != []


def test_bad_changes_are_refused_with_advice_and_change_nothing(page):
    wrong_size = put(page, {"add": packed(np.ones((4, 4), dtype=np.bool_))})
    assert (wrong_size.status_code, wrong_size.json()["code"]) == (422, "correction-invalid")
    for text in ("AAAA", "!", "x" * 40):
        assert put(page, {"add": text}).status_code == 422
    assert put(page, {"weight_set": packed(square(0, 0, 9, 9)), "weight_levels": "AAAA"}).status_code == 422
    assert put(page, {"paint": 1}).status_code == 422
    no_revision = page.put(f"/review/api/images/{COFFEE}/correction", json={"replaces": True})
    assert (no_revision.status_code, no_revision.json()["code"]) == (422, "revision-missing")
    assert page.get(f"/review/api/images/{token_of('nobody.jpg')}").status_code == 404
    assert page.get("/review/api/images/%21%21").status_code == 404
    assert page.post("/review/api/decisions", json={"images": [CAT], "decision": "perhaps"}).status_code == 422
    assert rows(page)["coffee.jpg"]["revision"] == 0


def test_pictures_of_an_image(page):
    view = PillowImage.open(io.BytesIO(page.get(f"/review/api/images/{COFFEE}/view").content))
    assert view.size == (WIDTH_PX, HEIGHT_PX)
    tile = page.get(f"/review/api/images/{COFFEE}/tiles/0/1/1")
    assert "immutable" in tile.headers["Cache-Control"]
    assert PillowImage.open(io.BytesIO(tile.content)).size == (WIDTH_PX - TILE_PX, HEIGHT_PX - TILE_PX)
    assert page.get(f"/review/api/images/{COFFEE}/tiles/0/9/9").status_code == 404
    assert page.get(f"/review/api/images/{COFFEE}/tiles/0/-1/0").status_code == 404
    small = PillowImage.open(io.BytesIO(page.get(f"/review/api/images/{COFFEE}/thumbnail").content))
    red = np.asarray(small.convert("RGB")).astype(int)[46, 53]
    assert red[0] > red[1] + 40, "what is masked is tinted"


def test_tiles_of_a_large_image_are_its_own_pixels():
    rng = np.random.default_rng(5)
    pixels = np.kron(rng.integers(0, 255, (100, 150, 3), dtype=np.uint8), np.ones((40, 40, 1), dtype=np.uint8))
    tile = np.asarray(PillowImage.open(io.BytesIO(tile_jpeg(pixels, level=0, column=2, row=1)))).astype(int)
    assert np.abs(tile - pixels[512:1024, 1024:1536]).mean() < 4
    half = PillowImage.open(io.BytesIO(tile_jpeg(pixels, level=1, column=5, row=3)))
    assert half.size == ((6000 - 5 * 1024 + 1) // 2, (4000 - 3 * 1024 + 1) // 2)
    assert PillowImage.open(io.BytesIO(view_jpeg(pixels))).size == (VIEW_PX, round(VIEW_PX * 4000 / 6000))


def test_a_file_that_changed_is_not_shown_under_the_old_mask(page, root):
    path = root.parent / "images" / "coffee.jpg"
    PillowImage.new("RGB", (WIDTH_PX, HEIGHT_PX)).save(path)
    answer = page.get(f"/review/api/images/{COFFEE}/view")
    assert (answer.status_code, answer.json()["code"]) == (422, "image-changed")


def test_only_this_page_may_change_anything(page):
    body = {"images": [CAT], "decision": "accepted"}
    assert page.post("/review/api/decisions", json=body, headers={"Origin": "http://evil.example"}).status_code == 403
    assert page.get("/review/api/queue", headers={"Host": "evil.example"}).status_code == 403
    assert rows(page)["cat.jpg"]["decision"] is None


@pytest.mark.parametrize("value", ["http://[", "http://[::1", "[", "//", "http://a b", "%", "\x7f", "http://\u2100"])
def test_a_malformed_origin_or_host_is_refused_and_no_defect(page, value):
    for path in (
        "/",
        "/review/",
        "/review/api/queue",
        f"/review/api/images/{CAT}",
        "/review/static/main.js",
        "/nothing",
    ):
        origin = page.get(path, headers=[(b"Origin", value.encode())])
        assert (origin.status_code, origin.json()["code"]) == (403, "origin-refused")
        assert page.get(path, headers=[(b"Host", value.encode())]).status_code in (400, 403)
        for name in (b"Referer", b"If-Match", b"If-None-Match", b"Range", b"Accept"):
            assert page.get(path, headers=[(name, value.encode())], follow_redirects=True).status_code < 500


def test_the_page_allows_no_foreign_code(page):
    answer = page.get("/review/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in answer.text.replace("http-equiv", "").replace("http://www.w3.org", "")
    for name in ("main.js", "page.css", "icons.svg"):
        assert page.get(f"/review/static/{name}").status_code == 200
    for name in ("..%2Froutes.py", "nothing.js", "%2e%2e"):
        assert page.get(f"/review/static/{name}").status_code == 404


@needs_byte_names
def test_a_file_name_that_is_not_unicode_is_an_image_like_any_other(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    names = ("b\udcff.png", "plain.png")
    for seed, name in enumerate(names):
        write_on(photograph("coffee.jpg", (WIDTH_PX, HEIGHT_PX)), seed=seed).save(images / name)
    root = run_and_store(images)
    with ReviewSource.open(root, author="ann") as source:
        page = TestClient(build_app(source), base_url="http://localhost")
        (odd,) = (row for row in rows(page) if row != "plain.png")
        path = f"/review/api/images/{token_of(odd)}"
        for picture in ("thumbnail", "view", "tiles/0/0/0", "part/0/0/90/90"):
            answer = page.get(f"{path}/{picture}")
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg"), (picture, answer.text)
        assert page.get(path).json()["id"] == odd
        assert page.post(f"{path}/click", json={"x": 450, "y": 300}).status_code == 200
        assert put(page, {"add": packed(square(0, 0, 9, 9))}, token=token_of(odd)).status_code == 200
        assert len(page.get(f"{path}/history").json()) == 1
        found = page.post(f"{path}/propagation/search", json={"pixels": packed(square(0, 560, 900, 600))})
        assert '"ended"' in found.text
        decided = page.post("/review/api/decisions", json={"images": [token_of(odd)], "decision": "accepted"})
        assert decided.json()[token_of(odd)]["decision"] == "accepted"


@pytest.mark.parametrize("path", ["/", "/review"])
def test_the_short_addresses_lead_to_the_page(page, path):
    answer = page.get(path, follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/review/")
    assert page.head("/").status_code == 200
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("image_id", ["a.jpg", "sub/ä ö.png", "名前/画像.webp", "-_=+?.png"])
def test_tokens_name_any_image(image_id):
    token = token_of(image_id)
    assert image_id_of(token) == image_id
    assert token.replace("-", "").replace("_", "").isalnum()


def test_the_queue_tells_the_templates_of_images(template):
    with ReviewSource.open(template, author="ann") as source:
        assert source.store.templates_by_image() == {}
        assert source.store.corrected() == {}


def save_over(root, name):
    """What a paint program does with a mask file."""
    path = root / "masks" / f"{name}.png"
    levels = stored_levels(root, f"{name}.jpg").copy()
    levels[:40, :50] = 0
    PillowImage.fromarray(levels).convert("RGB").save(path)
    return levels


def test_a_mask_file_that_was_saved_over_shows_as_a_correction(page, root):
    levels = save_over(root, "coffee")
    image = page.get(f"/review/api/images/{COFFEE}").json()
    assert (image["revision"], image["correction"]["tool"]) == (1, "mask-file")
    assert np.array_equal(stored_levels(root, "coffee.jpg"), levels)
    assert page.get(f"/review/api/images/{COFFEE}").json()["revision"] == 1


def test_a_page_that_was_loaded_before_does_not_draw_over_it(page, root):
    levels = save_over(root, "coffee")
    refused = put(page, {"replaces": True})
    assert (refused.status_code, refused.json()["newest"]["tool"]) == (412, "mask-file")
    assert np.array_equal(stored_levels(root, "coffee.jpg"), levels)
