"""The network of the paper, against its description and against sums done by hand."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from derain_ros.model.network import (
    DerainNetwork,
    MatchingNetwork,
    MultiScaleNetwork,
    MultiScaleUnit,
    Shape,
    SHAPES,
)

TINY = Shape(channels=4, units=2)


def parameters(shape: Shape) -> int:
    return sum(tensor.numel() for tensor in DerainNetwork(shape).parameters())


def test_reference_has_as_many_parameters_as_the_paper_describes():
    channels, units, scales = 32, 8, 3
    convolution = 9 * channels * channels + channels
    fusions = sum((k + 1) * channels * channels + channels for k in range(1, units + 1))
    expected = (
        (9 * 3 * channels + channels)  # feature transform
        + 4 * convolution  # matching
        + units * scales * 4 * convolution  # units
        + fusions  # dense connections
        + (9 * channels * 3 + 3)
    )  # image conversion
    assert parameters(SHAPES['reference']) == expected == 971_875


@pytest.mark.parametrize('name', SHAPES)
@pytest.mark.parametrize('size', [(16, 16), (17, 16), (31, 45), (40, 64)])
def test_any_size_comes_out_at_its_own_size(name, size):
    network = DerainNetwork(replace(SHAPES[name], channels=4, units=1))
    image = torch.rand(2, 3, *size)
    assert network(image).shape == image.shape


def test_without_predicted_rain_the_image_comes_out_as_it_went_in():
    network = DerainNetwork(TINY)
    torch.nn.init.zeros_(network.image_conversion.weight)
    torch.nn.init.zeros_(network.image_conversion.bias)
    image = torch.rand(1, 3, 19, 23)
    assert torch.equal(network(image), image)


def test_a_direct_network_predicts_the_image_itself():
    network = DerainNetwork(replace(TINY, residual=False))
    torch.nn.init.zeros_(network.image_conversion.weight)
    torch.nn.init.constant_(network.image_conversion.bias, 0.25)
    assert torch.all(network(torch.rand(1, 3, 19, 23)) == 0.25)


def test_a_unit_sums_its_scales_and_its_input():
    unit = MultiScaleUnit(TINY)
    features = torch.rand(1, 4, 8, 12)
    expected = features.clone()
    for scale, block in enumerate(unit.blocks, start=1):
        factor = 2 ** (scale - 1)
        pooled = functional.max_pool2d(features, factor)
        expected += block(pooled).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    torch.testing.assert_close(unit(features), expected)


def test_blocks_of_coarse_scales_may_be_wider_inside():
    unit = MultiScaleUnit(Shape(channels=4, units=1, widths=(4, 6, 8)))
    widths = [
        [convolution.out_channels for convolution in list(block)[::2]] for block in unit.blocks
    ]
    assert widths == [[4, 4, 4, 4], [6, 6, 6, 4], [8, 8, 8, 4]]
    features = torch.rand(1, 4, 8, 12)
    assert unit(features).shape == features.shape


def test_widths_are_one_for_each_scale():
    with pytest.raises(ValueError, match=r'widths \[8, 8\] are not one for each of 3 scales'):
        Shape(channels=4, units=1, widths=(8, 8))


def test_widths_survive_the_metadata_of_weights():
    shape = Shape(channels=4, units=1, widths=(4, 6, 8))
    assert Shape.from_json(shape.to_json()) == shape


def test_matching_has_a_skip_connection():
    matching = MatchingNetwork(channels=4)
    features = torch.rand(1, 4, 9, 9)
    torch.testing.assert_close(matching(features) - features, matching.block(features))


def test_every_unit_feeds_every_later_fusion():
    network = MultiScaleNetwork(replace(TINY, units=3))
    assert [fusion.in_channels for fusion in network.fusions] == [8, 12, 16]
    # with every fusion but the last shut, only a dense connection carries the input through
    for fusion in network.fusions[:-1]:
        torch.nn.init.zeros_(fusion.weight)
    features = torch.rand(1, 4, 8, 8, requires_grad=True)
    network(features).sum().backward()
    assert features.grad.abs().min() > 0


def test_unshuffle_is_the_same_network_on_folded_pixels():
    fast = DerainNetwork(Shape(channels=4, units=1, unshuffle=2, residual=False))
    plain = DerainNetwork(Shape(channels=4, units=1, residual=False))
    for name in ('matching', 'deraining'):
        getattr(plain, name).load_state_dict(getattr(fast, name).state_dict())
    image = torch.rand(1, 3, 16, 24)
    folded = functional.pixel_unshuffle(image, 2)
    features = plain.deraining(plain.matching(fast.feature_transform(folded)))
    expected = functional.pixel_shuffle(fast.image_conversion(features), 2)
    torch.testing.assert_close(fast(image), expected)


def test_real_rain_passes_the_first_two_stages_only():
    network = DerainNetwork(TINY)
    network.matched_features(torch.rand(1, 3, 16, 16)).sum().backward()
    trained = {
        name.split('.')[0]
        for name, tensor in network.named_parameters()
        if tensor.grad is not None
    }
    assert trained == {'feature_transform', 'matching'}


def test_padding_does_not_reach_into_the_image():
    """An image that needs no padding gives the same pixels inside a larger, edge-padded one."""
    network = DerainNetwork(TINY)
    image = torch.rand(1, 3, 17, 18)
    padded = functional.pad(image, (0, 2, 0, 3), mode='replicate')
    torch.testing.assert_close(network(image), network(padded)[..., :17, :18])
