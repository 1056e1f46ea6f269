"""Small checkpoints of every segment-anything family, written by the real library."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
"""Only slow tests write them: that needs the extra `sam`."""

DECODER = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
PROMPT = {"hidden_size": 32, "image_size": 128, "patch_size": 16, "mask_input_channels": 16}
VIT = {
    "hidden_size": 32,
    "output_channels": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 128,
    "patch_size": 16,
    "window_size": 4,
    "global_attn_indexes": [1],
    "num_pos_feats": 16,
    "mlp_dim": 32,
}


SIZES = [[32, 32], [16, 16], [8, 8]]
HIERA = {
    "backbone_config": {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 16,
        "num_attention_heads": 1,
        "image_size": [128, 128],
        "blocks_per_stage": [1, 2, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [4, 4, 4, 4],
        "global_attention_blocks": [4],
    },
    "backbone_channel_list": [128, 64, 32, 16],
    "backbone_feature_sizes": SIZES,
    "fpn_hidden_size": 32,
}
SAM3_VIT = {
    "model_type": "sam3_vision_model",
    "backbone_config": {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 128,
        "patch_size": 16,
        "window_size": 4,
        "global_attn_indexes": [1],
        "pretrain_image_size": 128,
    },
    "fpn_hidden_size": 32,
    "backbone_feature_sizes": SIZES,
}
MEMORY = {
    "image_size": 128,
    "memory_attention_hidden_size": 32,
    "memory_encoder_hidden_size": 32,
    "memory_encoder_output_channels": 16,
    "mask_downsampler_embed_dim": 32,
    "memory_fuser_embed_dim": 32,
    "memory_fuser_intermediate_dim": 32,
    "memory_attention_rope_feat_sizes": [8, 8],
}
"""Of the part that follows things through a video, which checkpoints hold and pictures have no use for."""


def save(model, folder: Path) -> None:
    """Save with weights large enough for every input to show in the output; the libraries start some at 1e-10."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                parameter.normal_(0, fan_in**-0.5, generator=generator)
    model.save_pretrained(folder)


def write_sam(folder: Path) -> None:
    from transformers import SamConfig, SamModel

    save(SamModel(SamConfig(vision_config=VIT, prompt_encoder_config=PROMPT, mask_decoder_config=DECODER)), folder)


def write_sam_hq(folder: Path) -> None:
    from transformers import SamHQConfig, SamHQModel

    decoder = {**DECODER, "vit_dim": 32}
    config = SamHQConfig(vision_config=VIT, prompt_encoder_config=PROMPT, mask_decoder_config=decoder)
    save(SamHQModel(config), folder)


def write_sam2(folder: Path) -> None:
    from transformers import Sam2Config, Sam2Model

    config = Sam2Config(
        vision_config=HIERA,
        prompt_encoder_config=PROMPT,
        mask_decoder_config=DECODER,
    )
    save(Sam2Model(config), folder)


def write_sam2_video(folder: Path) -> None:
    """As Meta publishes SAM 2.1."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    config = Sam2VideoConfig(
        vision_config=HIERA, prompt_encoder_config=PROMPT, mask_decoder_config=DECODER,
        memory_attention_feed_forward_hidden_size=32, **MEMORY,
    )  # fmt: skip
    save(Sam2VideoModel(config), folder)


def _mobile_net() -> dict[str, object]:
    import timm
    from transformers import TimmWrapperConfig

    backbone = TimmWrapperConfig(
        architecture="mobilenetv4_conv_small_050",
        do_pooling=False,
        model_args={"in_chans": 3, "features_only": True, "out_indices": [1, 2, 3, 4]},
    )
    channels = timm.create_model(
        "mobilenetv4_conv_small_050", pretrained=False, features_only=True, out_indices=[1, 2, 3, 4]
    ).feature_info.channels()
    return {
        "model_type": "edgetam_vision_model",
        "backbone_config": backbone.to_dict(),
        "backbone_channel_list": channels[::-1],
        "backbone_feature_sizes": SIZES,
        "fpn_hidden_size": 32,
    }


def write_edgetam(folder: Path, **decoder: object) -> None:
    from transformers import EdgeTamConfig, EdgeTamModel

    config = EdgeTamConfig(
        vision_config=_mobile_net(), prompt_encoder_config=PROMPT, mask_decoder_config={**DECODER, **decoder}
    )
    save(EdgeTamModel(config), folder)


def write_edgetam_video(folder: Path) -> None:
    from transformers import EdgeTamVideoConfig, EdgeTamVideoModel

    config = EdgeTamVideoConfig(
        vision_config=_mobile_net(), prompt_encoder_config=PROMPT, mask_decoder_config=DECODER,
        memory_attention_mlp_hidden_size=32, memory_attention_rope_k_sizes=[4, 4], perceiver_resampler_hidden_size=16,
        **MEMORY,
    )  # fmt: skip
    save(EdgeTamVideoModel(config), folder)


def write_sam3_tracker(folder: Path) -> None:
    from transformers import Sam3TrackerConfig, Sam3TrackerModel

    config = Sam3TrackerConfig(vision_config=SAM3_VIT, prompt_encoder_config=PROMPT, mask_decoder_config=DECODER)
    save(Sam3TrackerModel(config), folder)


def _sam3_tracker_video() -> dict[str, object]:
    return {
        "vision_config": SAM3_VIT,
        "prompt_encoder_config": PROMPT,
        "mask_decoder_config": DECODER,
        "memory_attention_feed_forward_hidden_size": 32,
        **MEMORY,
    }


def write_sam3_tracker_video(folder: Path) -> None:
    from transformers import Sam3TrackerVideoConfig, Sam3TrackerVideoModel

    save(Sam3TrackerVideoModel(Sam3TrackerVideoConfig(**_sam3_tracker_video())), folder)


def write_sam3_video(folder: Path) -> None:
    """As Meta publishes SAM 3: detector and tracker, of which the refiner needs the tracker."""
    from safetensors.torch import load_file, save_file
    from transformers import Sam3VideoConfig, Sam3VideoModel

    small = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    detector = {
        "vision_config": SAM3_VIT,
        "text_config": {"model_type": "clip_text_model", **text, "projection_dim": 32, "vocab_size": 64},
        "geometry_encoder_config": small,
        "detr_encoder_config": small,
        "detr_decoder_config": small,
        "mask_decoder_config": {"hidden_size": 32, "num_attention_heads": 2},
    }
    config = Sam3VideoConfig(detector_config=detector, tracker_config=_sam3_tracker_video(), low_res_mask_size=32)
    save(Sam3VideoModel(config), folder)
    # transformers 5.24 puts the tracker's prefix before names that have it; its rules for reading know it once.
    tensors = load_file(folder / "model.safetensors")
    tensors = {name.replace("tracker_model.tracker_model.", "tracker_model."): tensors[name] for name in tensors}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def write_edgetam_single_mask(folder: Path) -> None:
    write_edgetam(folder, num_multimask_outputs=0, dynamic_multimask_via_stability=True)


WRITERS = {
    "sam": (write_sam, 3),
    "sam_hq": (write_sam_hq, 3),
    "sam2": (write_sam2, 3),
    "edgetam": (write_edgetam, 3),
    "edgetam-one-mask": (write_edgetam_single_mask, 1),
    "sam2_video": (write_sam2_video, 3),
    "edgetam_video": (write_edgetam_video, 3),
    "sam3_tracker": (write_sam3_tracker, 3),
    "sam3_tracker_video": (write_sam3_tracker_video, 3),
    "sam3_video": (write_sam3_video, 3),
}
"""Architecture: what writes one, and how many alternatives it answers with."""
