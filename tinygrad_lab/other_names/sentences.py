"""What to do instead of PyTorch's names that no expression here stands for, in words.

One sentence for a line of names: errors say it, and the table of names in the docs shows it.
``spellings.py`` and ``modules.py`` have the names that an expression stands for.
"""

from tinygrad_lab.other_names import parsed
from tinygrad_lab.other_names.of_windows import OF_WINDOWS

__all__ = ["SENTENCES"]

_SENTENCES = """
AdaptiveLogSoftmaxWithLoss = for vocabularies of many thousand words: tg.nn.CrossEntropyLoss takes
    the scores of all of them
LinearCrossEntropyLoss LinearCrossEntropyOptions linear_cross_entropy = it saves memory with
    vocabularies of many thousand words: tg.nn.Linear, then tg.nn.CrossEntropyLoss compute the same
CTCLoss ctc_loss = there is no loss of sequences that are not aligned with their targets: align
    them, and take tg.nn.CrossEntropyLoss for each step
NLLLoss2d = tg.nn.NLLLoss takes images of class scores, (N, C, H, W)
Transformer TransformerDecoder TransformerDecoderLayer = tg.nn.TransformerEncoder with a causal mask
    makes a net that writes on; tg.nn.MultiheadAttention(query, key, value) attends to another
    sequence
Container RNNBase RNNCellBase = a base class of PyTorch's own layers: subclass tg.nn.Module
UninitializedParameter UninitializedBuffer factory_kwargs = layers know their sizes when they are
    made: tg.nn.Parameter(tg.zeros(shape))
DistributedSampler = a net is trained in one process on one device: tg.data.RandomSampler
SyncBatchNorm DataParallel parallel = a net is trained in one process on one
    device: tg.nn.BatchNorm1d, and a larger batch
quantized quantizable qat intrinsic = arithmetic with few bits there is none: module.half() computes
    in float16
common_types modules = a module of PyTorch's own: every layer is tg.nn.Name
affine_grid grid_sample = images are not sampled at points between pixels inside a net:
    tg.data.transforms has rotations and shifts of the images of a data set
conv_tbc = tg.nn.functional.conv1d takes (batch, channels, time): tg.permute_dims(x, (1, 2, 0))
grouped_mm scaled_mm scaled_grouped_mm ScalingType SwizzleType = for arithmetic with 8 bits on a
    GPU: x @ y
multi_head_attention_forward = tg.nn.MultiheadAttention holds its weights and calls it
rrelu_ = operators make new tensors: x = tg.nn.functional.rrelu(x)
ASGD = the average of the parameters, kept by hand: mean.data = 0.99 * mean + 0.01 * p after a step
Adamax = Adam with the largest gradient in the place of the mean square: tg.optim.Adam, or
    tg.optim.NAdam
Adafactor SparseAdam Muon = for nets of millions of parameters: tg.optim.AdamW
swa_utils SWALR = the average of the parameters, kept by hand: mean.data = 0.99 * mean + 0.01 * p
    after a step
swap_in_optimizer_params_and_state = it is for tracing: tg.compile records a step with its update
DFIterDataPipe DataChunk IterDataPipe MapDataPipe argument_validation functional_datapipe
    guaranteed_datapipes_determinism non_deterministic runtime_validation
    runtime_validation_disabled = data pipes, which PyTorch gave up: subclass tg.data.Dataset or
    tg.data.IterableDataset
get_worker_info = batches are made in the process that trains: there are no workers to ask about
spectral_norm remove_spectral_norm = write a module whose forward divides by the largest singular
    value: layer.weight / tg.linalg.norm(layer.weight, ord=2)
parametrizations parametrize = tg.nn.utils.weight_norm(layer) is here; another parametrisation is a
    module whose forward computes the weight: tg.nn.functional.linear(x, f(self.weight), self.bias)
stateless = write a function of the parameters: def f(weight, bias), with tg.nn.functional.linear
rnn = sequences of several lengths: pad them, and pass lengths or a mask to what follows
skip_init = layers are initialised when they are made; tg.nn.init changes the numbers afterwards
fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights =
    layers are not folded into others for inference: model.eval() is enough
convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format memory_format = elements are
    in row-major order (C): leave it out
clip_grad convert_parameters fusion = every function is tg.nn.utils.name
PruningContainer = pruning again composes the masks: call the functions one after the other
"""

SENTENCES = parsed(_SENTENCES) | OF_WINDOWS
"""By the name, whichever module it is looked up in."""
