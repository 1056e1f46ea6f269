"""What a finished job gives: a manifest, a zip of masks, or the files of a trainer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from automask.export.run import build_exporter, export_store
from automask.export.snippets import json_line
from automask.store import Status, Store, StoredImage
from automask_api.batch.archive import StreamedZip


def manifest_lines(store_root: Path) -> Iterator[bytes]:
    """One JSON object per image that was dealt with: its mask, verdict, confidence, kinds and issues."""
    with Store.open(store_root, read_only=True) as store:
        for stored in store.images():
            if stored.status is not Status.MISSING:
                yield json_line(_row(store, stored)).encode()


def mask_zip(store_root: Path) -> Iterator[bytes]:
    """A zip of all masks with the manifest, written while it is sent."""
    with StreamedZip() as archive, Store.open(store_root, read_only=True) as store:
        for stored in store.images(status=Status.DONE):
            if stored.mask_name is not None:
                data = store.mask_path(stored.mask_name).read_bytes()
                yield archive.entry(f"masks/{stored.mask_name}", data)
        yield archive.entry("manifest.ndjson", b"".join(manifest_lines(store_root)), is_text=True)
        yield archive.end()


def export_zip(store_root: Path, exporter_name: str, *, temporary: Path) -> Iterator[bytes]:
    """A zip of an export, made when the first byte is taken.

    Args:
        store_root: The job's store.
        exporter_name: `automask export --list` has them.
        temporary: Where the export is made; it is removed afterwards.

    Raises:
        PluginError: There is no such format.
        AutomaskError: The store cannot be exported in that format.
    """
    exporter = build_exporter(exporter_name, options={})
    temporary.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="export-", dir=temporary))
    try:
        export_store(store_root, exporter, output=folder / exporter.name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _packed(folder)


def _packed(folder: Path) -> Iterator[bytes]:
    try:
        with StreamedZip() as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    is_text = path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp", ".avif")
                    yield archive.entry(path.relative_to(folder).as_posix(), path.read_bytes(), is_text=is_text)
            yield archive.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _row(store: Store, stored: StoredImage) -> dict[str, object]:
    return {
        "image_id": stored.image_id,
        "status": stored.status.value,
        "mask": f"masks/{stored.mask_name}" if stored.mask_name is not None else None,
        "mask_sha256": stored.mask_sha256,
        "content_sha256": stored.content_sha256,
        "verdict": stored.verdict.value if stored.verdict is not None else None,
        "confidence": stored.confidence,
        "masked_share": stored.masked_share,
        "kinds": [kind.value for kind in stored.kinds],
        "issues": [
            {"stage": issue.stage, "code": issue.code, "message": issue.message, "severity": issue.severity}
            for issue in store.issues(stored.image_id)
        ],
    }
