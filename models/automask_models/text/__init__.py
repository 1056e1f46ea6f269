"""Text detectors: RapidOCR's PP-OCR models on ONNX Runtime (default) and EasyOCR (extra)."""
