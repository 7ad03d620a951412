"""The U-Net: shapes, what it refuses, and what it says of itself, on tiny real networks."""

import pytest
import torch
from torch import nn

from model.blocks import ResNetBlock, SelfAttention
from model.unet import UNet, UNetConfig

TINY = {"channels": (8, 16), "bottleneck": 16, "attention": (1,), "heads": 2, "embedding": 16}


def tiny(**changes):
    torch.manual_seed(0)
    return UNet(UNetConfig(**{"image_channels": 1, "image_size": 8, **TINY, **changes}))


def inputs(net, batch=2, size=8):
    torch.manual_seed(1)
    x = torch.randn(batch, net.config.image_channels, size, size)
    return x, torch.linspace(1, 700.5, batch)


# -- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_channels", [1, 3])
@pytest.mark.parametrize("channels", [(8, 16), (8, 12, 16), (4, 8, 8, 12)])
@pytest.mark.parametrize("options", [{}, {"pre_norm": True, "zero_init": True, "groups": 2}])
def test_the_output_has_the_shape_of_the_input(image_channels, channels, options):
    net = tiny(image_channels=image_channels, channels=channels, attention=(1, 0), **options)
    x, t = inputs(net, size=16)
    assert net(x, t).shape == x.shape


def test_any_size_that_the_halvings_divide():
    net = tiny(channels=(8, 8, 16))
    for height, width in ((4, 4), (12, 20), (32, 8)):
        assert net(torch.zeros(1, 1, height, width), torch.ones(1)).shape == (1, 1, height, width)


def test_classic_is_the_figure():
    net = UNet(UNetConfig.classic(classes=10))
    sizes = {info.name: info.output_shape for info in net.describe()}
    assert sizes == {
        "input": (64, 64, 64),
        "down1": (128, 32, 32),
        "down1_attention": (128, 32, 32),
        "down2": (256, 16, 16),
        "down2_attention": (256, 16, 16),
        "down3": (256, 8, 8),
        "down3_attention": (256, 8, 8),
        "bottleneck1": (512, 8, 8),
        "bottleneck2": (512, 8, 8),
        "bottleneck3": (256, 8, 8),
        "up2": (128, 16, 16),
        "up2_attention": (128, 16, 16),
        "up1": (64, 32, 32),
        "up1_attention": (64, 32, 32),
        "up0": (64, 64, 64),
        "up0_attention": (64, 64, 64),
        "output": (3, 64, 64),
    }


# -- what it computes ----------------------------------------------------------------------------


def test_the_resnet_block_in_both_orders():
    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 5)
    for pre_norm in (False, True):
        block = ResNetBlock(4, 6, groups=2, pre_norm=pre_norm)
        gelu, shortcut = nn.functional.gelu, block.shortcut(x)
        if pre_norm:
            body = block.conv2(gelu(block.norm2(block.conv1(gelu(block.norm1(x))))))
        else:
            body = block.norm2(block.conv2(gelu(block.norm1(block.conv1(x)))))
        assert torch.allclose(block(x), shortcut + body)
        assert shortcut.shape[1] == 6


def test_attention_equals_pytorchs_own():
    torch.manual_seed(0)
    block = SelfAttention(8, heads=4)
    theirs = nn.MultiheadAttention(8, 4, batch_first=True)
    theirs.in_proj_weight.data = block.qkv.weight.data
    theirs.in_proj_bias.data = block.qkv.bias.data
    theirs.out_proj.load_state_dict(block.out.state_dict())
    x = torch.randn(2, 8, 3, 5)
    s = x.flatten(2).transpose(1, 2)
    normed = block.norm1(s)
    attended, weights = theirs(normed, normed, normed, average_attn_weights=False)
    s = s + attended
    s = s + block.mlp(block.norm2(s))
    assert torch.allclose(block(x), s.transpose(1, 2).reshape(x.shape), atol=1e-6)
    assert torch.allclose(block.weights(x), weights, atol=1e-6)


def test_zero_init_begins_with_zero():
    net = tiny(zero_init=True)
    x, t = inputs(net)
    assert net(x, t).abs().max() <= net.blocks["output"].bias.abs().max() + 1e-6
    assert tiny()(x, t).std() > 0.01


def test_timestep_and_label_reach_the_output():
    net = tiny(classes=3)
    x, t = inputs(net)
    one, other = torch.tensor([0, 0]), torch.tensor([2, 0])
    assert not torch.allclose(net(x, t, one), net(x, t + 0.5, one))
    changed = (net(x, t, one) != net(x, t, other)).flatten(1).any(dim=1)
    assert changed.tolist() == [True, False]


def test_no_label_is_the_last_entry():
    net = tiny(classes=3)
    x, t = inputs(net)
    assert torch.equal(net(x, t), net(x, t, torch.tensor([3, 3])))


def test_an_image_does_not_depend_on_its_batch():
    net = tiny(classes=3)
    x, t = inputs(net, batch=3)
    label = torch.tensor([0, 1, 2])
    alone = net(x[1:2], t[1:2], label[1:2])
    assert torch.allclose(net(x, t, label)[1:2], alone, atol=1e-5)


# -- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "t", "label", "says"),
    [
        (torch.zeros(2, 3, 8, 8), torch.ones(2), None, r"images \(B, 1, H, W\).*\(2, 3, 8, 8\)"),
        (torch.zeros(1, 8, 8), torch.ones(1), None, r"got shape \(1, 8, 8\)"),
        (torch.zeros(2, 1, 8, 7), torch.ones(2), None, "multiples of 2, got 8×7"),
        (torch.zeros(2, 1, 0, 8), torch.ones(2), None, "multiples of 2, got 0×8"),
        (torch.zeros(2, 1, 8, 8), torch.ones(3), None, "one timestep for each of 2 images"),
        (torch.zeros(2, 1, 8, 8), torch.ones(2), torch.tensor([0, 4]), r"0 … 2, or 3 for none"),
        (torch.zeros(2, 1, 8, 8), torch.ones(2), torch.tensor([-1, 0]), r"0 … 2, or 3 for none"),
        (torch.zeros(2, 1, 8, 8), torch.ones(2), torch.zeros(2), "one integer for each"),
        (torch.zeros(2, 1, 8, 8), torch.ones(2), torch.tensor([1]), "one integer for each"),
    ],
)
def test_what_does_not_fit_is_one_sentence(x, t, label, says):
    with pytest.raises(ValueError, match=says):
        tiny(classes=3)(x, t, label)


def test_a_network_without_labels_takes_none():
    net = tiny()
    with pytest.raises(ValueError, match="built without labels"):
        net(*inputs(net), torch.tensor([0, 0]))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image_size": 30, "channels": (8, 8, 8)}, "a side that 4 divides, got image_size 30"),
        ({"image_channels": 0}, "image_channels must be in 1 … 16, got 0"),
        ({"channels": (8,)}, "channels must be 2 to 8 numbers"),
        ({"channels": (8, 0)}, "channels must be 2 to 8 numbers"),
        ({"channels": (8, 2.5)}, "channels must be an integer, got 2.5"),
        ({"attention": (2,)}, r"attention must name levels 0 … 1, got \(2,\)"),
        ({"heads": 3}, r"heads must divide the channels \[8, 16\], got 3|\[16\], got 3"),
        ({"groups": 3}, "groups must divide the channels"),
        ({"embedding": 15}, "embedding must be even, got 15"),
        ({"classes": -1}, "classes must be in 0"),
        ({"bottleneck": 10**9}, "bottleneck must be in 1 … 4096"),
    ],
)
def test_a_network_that_cannot_be_built_is_one_sentence(changes, says):
    with pytest.raises(ValueError, match=says):
        UNetConfig(**{"image_channels": 1, "image_size": 8, **TINY, **changes})


# -- what it says of itself ----------------------------------------------------------------------


def test_the_description_is_what_a_forward_pass_does():
    net = tiny(channels=(4, 8, 12), attention=(0, 2), classes=3)
    x, t = inputs(net, size=16)
    seen = []
    for name, block in net.blocks.items():
        block.register_forward_hook(
            lambda _, args, out, name=name: seen.append((name, args[0].shape[1:], out.shape[1:]))
        )
    net(x, t)
    infos = net.describe(16)
    assert [(i.name, i.input_shape, i.output_shape) for i in infos] == seen
    others = sum(p.numel() for p in net.label.parameters())
    assert sum(i.parameters for i in infos) + others == sum(p.numel() for p in net.parameters())
    assert [i.level for i in infos] == [0, 1, 2, 2, 2, 2, 2, 1, 0, 0, 0]
    skips = {i.name: i.skip_from for i in infos if i.kind == "upsample"}
    assert skips == {"up1": "down1", "up0": "input"}
    kinds = [i.kind for i in infos]
    assert kinds[0] == "input"
    assert kinds[-1] == "output"
    assert kinds.count("bottleneck") == 3


def test_describing_a_size_that_does_not_fit_is_one_sentence():
    with pytest.raises(ValueError, match="multiples of 2, got 7×7"):
        tiny().describe(7)


def test_a_trace_has_every_activation_and_every_attention_map():
    net = tiny(channels=(4, 8), attention=(0, 1))
    x, t = inputs(net)
    hooked = {}
    for name, block in net.blocks.items():
        block.register_forward_hook(lambda _, args, out, name=name: hooked.update({name: out}))
    trace = net.trace(x, t)
    assert torch.equal(trace.output, net(x, t))
    assert trace.activations.keys() == hooked.keys() == net.blocks.keys()
    assert all(torch.equal(trace.activations[name], hooked[name]) for name in hooked)
    assert {name: tuple(w.shape) for name, w in trace.attention.items()} == {
        "down1_attention": (2, 2, 16, 16),
        "up0_attention": (2, 2, 64, 64),
    }
    for weights in trace.attention.values():
        assert torch.allclose(weights.sum(dim=-1), torch.ones(weights.shape[:-1]), atol=1e-5)


def test_a_cut_skip_carries_zeros():
    net = tiny(channels=(4, 8, 8), attention=())
    x, t = inputs(net)
    emb = net.embed(t)
    blocks = net.blocks
    h0 = blocks["input"](x)
    h1 = blocks["down1"](h0, emb)
    h = blocks["down2"](h1, emb)
    for i in (1, 2, 3):
        h = blocks[f"bottleneck{i}"](h)
    up = blocks["up1"](h, torch.zeros_like(h1), emb)
    by_hand = blocks["output"](blocks["up0"](up, h0, emb))
    torch.testing.assert_close(net(x, t, cut={1}), by_hand)
    assert not torch.allclose(net(x, t), by_hand)
    torch.testing.assert_close(net.trace(x, t, cut={1}).output, by_hand)
    assert torch.equal(net(x, t, cut=()), net(x, t))
