"""PyTorch's layers of windows that are not here: a sentence on what to do instead."""

from tinygrad_lab.other_names import parsed

__all__ = ["OF_WINDOWS"]

_WORDS = """
Conv3d ConvTranspose3d MaxPool3d AvgPool3d LPPool3d MaxUnpool3d AdaptiveAvgPool3d
    AdaptiveMaxPool3d max_unpool3d conv3d conv_transpose3d max_pool3d avg_pool3d lp_pool3d
    adaptive_avg_pool3d adaptive_max_pool3d
    max_pool3d_with_indices adaptive_max_pool3d_with_indices
    BatchNorm3d InstanceNorm3d Dropout3d dropout3d = there are layers for one and two spatial axes:
    join the third with the samples, x.reshape(N * D, C, H, W), or with the channels,
    x.reshape(N, C * D, H, W)
LazyLinear LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d
    LazyConvTranspose3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyInstanceNorm1d
    LazyInstanceNorm2d LazyInstanceNorm3d = layers know their sizes when they are made: give the
    number of inputs or channels to the layer of the name without Lazy
FractionalMaxPool2d FractionalMaxPool3d fractional_max_pool2d fractional_max_pool3d
    fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices = windows of random sizes
    there are none: tg.nn.AdaptiveMaxPool2d takes any output_size
max_pool1d_with_indices max_pool2d_with_indices adaptive_max_pool1d_with_indices
    adaptive_max_pool2d_with_indices = the function of the name without _with_indices takes
    return_indices=True
native_channel_shuffle = tg.nn.functional.channel_shuffle(x, groups)
"""
OF_WINDOWS = {name: " ".join(said.split()) for name, said in parsed(_WORDS).items()}
"""The sentence for each name."""
