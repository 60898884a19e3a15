"""How names of PyTorch and NumPy are spelled here: of tensors, and of functions.

In what follows x, y are tensors, z is complex, v, w are vectors, s has no axes, i holds integers,
condition booleans. Each line holds names, and an expression that means the same for every tensor
that the name takes. What holds for some is said before it: ``of vectors: ...; of matrices: ...``.
Lines that are indented continue the one above. ``tests/test_spellings.py`` compares each with
NumPy's and PyTorch's functions on vectors, matrices, and arrays of three axes.
"""

__all__ = ["ABSENT", "BOTH", "NAMESPACE", "TENSOR", "WORDS"]

BOTH = """
absolute fabs = tg.abs(x)
arccos = tg.acos(x)
arccosh = tg.acosh(x)
arcsin = tg.asin(x)
arcsinh = tg.asinh(x)
arctan = tg.atan(x)
arctan2 = tg.atan2(x, y)
arctanh = tg.atanh(x)
addcdiv = x + 0.5 * x / y
addcmul = x + 0.5 * x * y
addmm baddbmm = x + x @ y
addbmm = x[0] + tg.sum(x @ y, axis=0)
addmv = v + x @ v
addr = x + tg.outer(v, w)
amax = tg.max(x)
amin = tg.min(x)
aminmax = (tg.min(x), tg.max(x))
ptp = tg.max(x) - tg.min(x)
angle = tg.atan2(tg.imag(z), tg.real(z))
argwhere = tg.stack(tg.nonzero(x), axis=1)
flatnonzero = tg.nonzero(tg.flatten(x))[0]
array_equal = x.shape == y.shape and bool(tg.all(x == y))
average = with weights y: tg.sum(x * y) / tg.sum(y)
bincount = tg.sum(tg.one_hot(i, 3), axis=0)
bitwise_not invert = tg.bitwise_invert(i)
bmm mm = x @ y
mv matvec = x @ v
vecmat = v @ x
dot = of vectors and matrices: x @ y
inner = of vectors: x @ y; of matrices: x @ y.T
vdot = tg.vecdot(x.flatten(), y.flatten())
ger = tg.outer(v, w)
cbrt = tg.sign(x) * tg.abs(x) ** (1 / 3)
chunk unsafe_chunk = in two: tg.split(x, [-(-len(x) // 2)], axis=0)
dsplit = tg.split(x, [1], axis=2)
hsplit = of vectors: tg.split(x, [1]); of more axes: tg.split(x, [1], axis=1)
vsplit = tg.split(x, [1], axis=0)
split_with_sizes unsafe_split_with_sizes = sizes 1 and the rest: tg.split(x, [1], axis=0)
array_split tensor_split = tg.split(x, [1], axis=0)
unsafe_split = pieces of size 2: tg.split(x, list(range(2, len(x), 2)), axis=0)
clamp = tg.clip(x, 0.0, 1.0)
clamp_max = tg.minimum(x, 1.0)
clamp_min = tg.maximum(x, 0.0)
clone copy = tg.asarray(x, copy=True)
conjugate conj_physical = tg.conj(z)
cummax = along axis 0: tg.cumulative_max(x, axis=0)
cummin = along axis 0: tg.cumulative_min(x, axis=0)
cumprod = along axis 0: tg.cumulative_prod(x, axis=0);
    of all elements: tg.cumulative_prod(x.flatten())
cumsum = along axis 0: tg.cumulative_sum(x, axis=0); of all elements: tg.cumulative_sum(x.flatten())
deg2rad radians = x * (tg.pi / 180)
rad2deg degrees = x * (180 / tg.pi)
diagflat = tg.diag(x.flatten())
diag_embed = of vectors: tg.diag(x)
dist = tg.norm(x - y)
div true_divide = x / y
divmod = (x // y, x % y)
eq = x == y
expand = tg.broadcast_to(x, (4, *x.shape))
expand_as = tg.broadcast_to(x, y.shape)
fix = tg.trunc(x)
fliplr = tg.flip(x, axis=1)
flipud = tg.flip(x, axis=0)
float_power power = x ** y
frac = x - tg.trunc(x)
take_along_dim = tg.take_along_axis(x, tg.argmax(x, axis=-1, keepdims=True), axis=-1)
ge = x >= y
gt = x > y
index_add = along axis 0: x.at[i].add(1.0)
index_copy index_put index_fill = along axis 0: x.at[i].set(1.0)
put_along_axis = of vectors: x.at[i].set(1.0)
put = x.flatten().at[i].set(1.0).reshape(x.shape)
place putmask = x.at[condition].set(1.0)
masked_scatter = x.at[condition].set(y.flatten()[: int(tg.sum(condition))])
select_scatter = x.at[1].set(y[0])
slice_scatter = x.at[:1].set(y[:1])
diagonal_scatter fill_diagonal = of square matrices: tg.where(tg.eye(len(x), dtype=tg.bool), 1.0, x)
index_select = tg.take(x, i, axis=0)
inverse = tg.inv(x)
pinverse = tg.pinv(x)
is_complex iscomplexobj = tg.isdtype(x.dtype, 'complex floating')
is_floating_point = tg.isdtype(x.dtype, 'real floating')
isneginf = x == -tg.inf
isposinf = x == tg.inf
isreal = tg.imag(z) == 0
iscomplex = tg.imag(z) != 0
partition = tg.sort(x, axis=-1)
kthvalue = tg.sort(x, axis=-1)[..., 1]
argpartition = tg.argsort(x, axis=-1)
msort = tg.sort(x, axis=0)
le = x <= y
left_shift = i << 1
right_shift = i >> 1
lerp = of finite numbers: x + 0.5 * (y - x)
logdet = tg.log(tg.det(x))
logit = tg.log(x) - tg.log1p(-x)
lstsq = tg.pinv(x) @ v
lt = x < y
masked_select extract = x[condition]
compress = x[:1]
mod = x % y
modf = of finite numbers: (x - tg.trunc(x), tg.trunc(x))
movedim = tg.moveaxis(x, 0, 1)
rollaxis = tg.moveaxis(x, 1, 0)
mul = x * y
nanmax = tg.max(tg.where(tg.isnan(x), -tg.inf, x))
nanmin = tg.min(tg.where(tg.isnan(x), tg.inf, x))
nanprod = tg.prod(tg.where(tg.isnan(x), 1.0, x))
narrow narrow_copy = x[0:1]
ne = x != y
neg = -x
sub = x - y
permute = of matrices: tg.permute_dims(x, (1, 0)); of three axes: tg.permute_dims(x, (2, 0, 1))
transpose = of matrices: x.T; in NumPy: tg.permute_dims(x, tuple(reversed(range(x.ndim))));
    in PyTorch: tg.swapaxes(x, 0, 1)
swapdims = tg.swapaxes(x, 0, 1)
adjoint = tg.conj(z.mT)
t = of matrices: x.T
prelu = tg.nn.functional.prelu(x, tg.tensor([0.25]))
ravel = x.flatten()
repeat_interleave = tg.repeat(x, 2, axis=0)
rint around = tg.round(x)
select = x[0]
choose = tg.where(i == 0, x, y)
sgn = of finite numbers: tg.sign(x)
unbind = tg.unstack(x)
unflatten = x.reshape(1, -1, *x.shape[1:])
unsqueeze = tg.expand_dims(x, axis=0)
view = x.reshape(2, 3)
numel nelement = x.size
resize = of the same size: x.reshape(2, 3)
renorm = of rows: x / tg.maximum(tg.norm(x, axis=1, keepdims=True), 1.0)
histc = the counts: np.histogram(x.numpy(), 4)[0]
ldexp = x * 2.0 ** i
quantile = the value: np.quantile(x.numpy(), 0.9)
nanquantile = the value: np.nanquantile(x.numpy(), 0.9)
percentile = the value: np.percentile(x.numpy(), 90)
nanpercentile = the value: np.nanpercentile(x.numpy(), 90)
cholesky_solve = tg.solve(tg.tril(x) @ tg.tril(x).mT, y)
triangular_solve = tg.solve(tg.triu(x), y)
cholesky_inverse = tg.inv(tg.tril(x) @ tg.tril(x).mT)
is_nonzero = bool(s)
is_same_size = x.shape == y.shape
is_signed = not tg.isdtype(x.dtype, ("bool", "unsigned integer"))
mode = of vectors: tg.unique_counts(x).values[tg.argmax(tg.unique_counts(x).counts)]
unique_consecutive = of vectors: x[tg.concat([x[:1] == x[:1], x[1:] != x[:-1]])]
zero_ = x.data = tg.zeros_like(x)
cov = of matrices: (x - tg.mean(x, axis=1, keepdims=True)) @ (x - tg.mean(x, axis=1,
    keepdims=True)).T / (x.shape[1] - 1)
"""
"""Methods of a tensor, or functions of one."""

TENSOR = """
H = tg.conj(z).T
mH = tg.conj(z.mT)
bool = x.astype(tg.bool)
byte = x.astype(tg.uint8)
char = x.astype(tg.int8)
short = x.astype(tg.int16)
int = x.astype(tg.int32)
long = x.astype(tg.int64)
half = x.astype(tg.float16)
float = x.astype(tg.float32)
double = x.astype(tg.float64)
cfloat = x.astype(tg.complex64)
cdouble = x.astype(tg.complex128)
type type_as = x.astype(y.dtype)
cuda = x.to("cuda")
cpu = x.to("cpu")
get_device = x.device
is_cuda = x.device.startswith("cuda")
is_cpu = x.device == "cpu"
dim ndimension = x.ndim
element_size itemsize = x.dtype.itemsize
nbytes = x.size * x.dtype.itemsize
strides = x.numpy().strides
stride = tuple(n // x.dtype.itemsize for n in x.numpy().strides)
flags = x.numpy().flags
flat = x.flatten()
tobytes = x.numpy().tobytes()
tofile dump = x.numpy().tofile("file")
dumps = x.numpy().dumps()
data_ptr const_data_ptr = x.numpy().ctypes.data
ctypes = x.numpy().ctypes
byteswap = x.numpy().byteswap()
contiguous base = tg.asarray(x, copy=True)
grad_fn = x.node
copy_ = x.data = y
fill fill_ = x.data = tg.full_like(x, 1.0)
normal_ = x.data = tg.random.normal(x.shape, 0, 1)
uniform_ = x.data = tg.random.uniform(x.shape, 0, 1)
bernoulli_ = x.data = tg.random.bernoulli(x.shape, 0.5)
exponential_ = x.data = -tg.log1p(-tg.random.uniform(x.shape))
random_ = x.data = tg.random.integers(x.shape, 0, 10)
detach_ = x = x.detach()
fill_diagonal_ = of square matrices: x.data = tg.where(tg.eye(len(x), dtype=tg.bool), 1.0, x)
map_ apply_ = x.data = tg.exp(x)
bernoulli = with probabilities x: tg.random.uniform(x.shape) < x
multinomial = tg.random.choice(3, 2, replace=False, p=[0.2, 0.3, 0.5])
index = x[i]
is_contiguous = x.numpy().flags.c_contiguous
storage untyped_storage values to_dense = x.data
unfold = of vectors: tg.stack([x[j : j + 2] for j in range(len(x) - 1)])
log_normal_ = x.data = tg.exp(tg.random.normal(x.shape))
new_tensor new = tg.tensor([1.0], dtype=x.dtype)
new_empty = tg.empty((2, 3), dtype=x.dtype)
new_full = tg.full((2, 3), 1.0, dtype=x.dtype)
new_ones = tg.ones((2, 3), dtype=x.dtype)
new_zeros = tg.zeros((2, 3), dtype=x.dtype)
reshape_as view_as resize_as = x.reshape(y.shape)
set_ = x.data = y
sum_to_size = x.sum(axis=0, keepdims=True)
setflags = x.numpy().setflags
equal = x.shape == y.shape and bool(tg.all(x == y))
repeat = in NumPy: tg.repeat(x, 2); in PyTorch: tg.tile(x, (2, 1))
split = pieces of size 2: tg.split(x, list(range(2, len(x), 2)), axis=0)
"""
"""Methods of a tensor that have another meaning, or none, as functions."""

NAMESPACE = """
array as_tensor asanyarray ascontiguousarray asfortranarray asarray_chkfinite = tg.asarray([1.0])
from_numpy frombuffer fromiter = tg.asarray([1.0])
scalar_tensor = tg.tensor(1.0)
cat concatenate = tg.concat([x, y], axis=0)
vstack row_stack = of vectors: tg.stack([x, y]); of more axes: tg.concat([x, y], axis=0)
hstack = of vectors: tg.concat([x, y]); of more axes: tg.concat([x, y], axis=1)
column_stack c_ = of vectors: tg.stack([x, y], axis=1); of matrices: tg.concat([x, y], axis=1)
dstack = of matrices: tg.stack([x, y], axis=2); of three axes: tg.concat([x, y], axis=2)
append = tg.concat([x, y], axis=None)
insert = along axis 0: tg.concat([x[:1], y, x[1:]], axis=0)
block = of matrices: tg.concat([tg.concat([x, y], axis=1), tg.concat([y, x], axis=1)], axis=0)
delete = along axis 0: tg.concat([x[:1], x[2:]], axis=0)
atleast_1d = of a scalar: tg.tensor([s])
atleast_2d = of vectors: x[None]
atleast_3d = of vectors: x[None, :, None]; of matrices: x[:, :, None]
float single = tg.float32
double float_ = tg.float64
half = tg.float16
int intc = tg.int32
long int_ intp longlong = tg.int64
short = tg.int16
byte char = tg.int8
ubyte = tg.uint8
bool_ = tg.bool
cfloat csingle = tg.complex64
cdouble = tg.complex128
device = tg.get_default_device()
dtype = tg.float32
manual_seed = tg.seed(0)
rand random_sample = tg.random.uniform((2, 3))
rand_like = tg.random.uniform(x.shape)
randn normal = tg.random.normal((2, 3))
randn_like = tg.random.normal(x.shape)
randint = tg.random.integers((2, 3), 0, 10)
randint_like = tg.random.integers(x.shape, 0, 10)
randperm = tg.random.permutation(5)
bernoulli = with probabilities x: tg.random.uniform(x.shape) < x
multinomial = tg.random.choice(3, 2, replace=False, p=[0.2, 0.3, 0.5])
default_generator = tg.random.default_generator
range = tg.arange(0, 10)
logspace geomspace = 10.0 ** tg.linspace(0, 2, 5)
identity = tg.eye(3)
tri = tg.tril(tg.ones((3, 3)))
tril_indices = tg.nonzero(tg.tril(tg.ones((3, 3))))
tril_indices_from = of matrices: tg.nonzero(tg.tril(tg.ones(x.shape)))
triu_indices = tg.nonzero(tg.triu(tg.ones((3, 3))))
triu_indices_from = of matrices: tg.nonzero(tg.triu(tg.ones(x.shape)))
broadcast_tensors broadcast = tg.broadcast_arrays(x, y)
broadcast_shapes = tg.broadcast_arrays(x, y)[0].shape
savez savez_compressed = np.savez("file.npz", x=x.numpy())
savetxt = np.savetxt("file.txt", x.numpy())
loadtxt genfromtxt fromfile = tg.tensor(np.loadtxt("file.txt"))
is_tensor = isinstance(x, tg.Tensor)
inference_mode = tg.no_grad()
detach = x.detach()
detach_copy stop_gradient = x.detach()
set_default_tensor_type = tg.set_default_dtype(tg.float64)
set_default_device = tg.default_device("cpu")
promote_types common_type = tg.result_type(x, y)
issubdtype = tg.isdtype(x.dtype, "real floating")
isrealobj = not tg.isdtype(x.dtype, "complex floating")
var_mean = (tg.var(x, correction=1), tg.mean(x))
std_mean = (tg.std(x, correction=1), tg.mean(x))
batch_norm native_batch_norm = tg.nn.BatchNorm1d(3)
instance_norm = tg.nn.InstanceNorm1d(3)
group_norm = tg.nn.GroupNorm(1, 3)
lstm_cell = tg.nn.LSTMCell(3, 4)
layer_norm native_layer_norm = tg.nn.LayerNorm(3)
rms_norm = tg.nn.functional.rms_norm(x, x.shape[-1])
gru_cell = tg.nn.GRUCell(3, 4)
embedding = tg.nn.Embedding(3, 4)
cosine_similarity = tg.nn.functional.cosine_similarity(x, y, dim=-1)
pairwise_distance = tg.nn.functional.pairwise_distance(x, y, eps=0.0)
cdist = of matrices: tg.norm(x[:, None] - y[None], axis=-1)
binary_cross_entropy_with_logits = tg.nn.functional.binary_cross_entropy_with_logits(x, y)
frobenius_norm = of matrices: tg.matrix_norm(x)
nuclear_norm = of matrices: tg.matrix_norm(x, ord="nuc")
chain_matmul = x @ y @ x
select = in NumPy: tg.where(x > 1, x, tg.where(x > 0, y, 0.0)); in PyTorch: x[0]
ndim = x.ndim
shape = x.shape
size = x.size
ndarray = tg.Tensor
digitize = tg.searchsorted(v, x, side="right")
fill = tg.full_like(x, 1.0)
rsub = y - x
rrelu = without training: tg.nn.functional.rrelu(x)
constant_pad_nd = of vectors: tg.pad(x, (1, 2)); of matrices: tg.pad(x, ((0, 0), (1, 2)))
trapezoid trapz = tg.sum((x[..., 1:] + x[..., :-1]) / 2, axis=-1)
gradient = of vectors: tg.concat([x[1:2] - x[:1], (x[2:] - x[:-2]) / 2, x[-1:] - x[-2:-1]])
ediff1d = tg.diff(x.flatten())
vander = of vectors: x[:, None] ** tg.arange(2, -1, -1)
polyval = of vectors: tg.sum(x * 2.0 ** tg.arange(len(x) - 1, -1, -1))
indices mgrid = tg.meshgrid(tg.arange(2), tg.arange(3), indexing="ij")
ix_ = (v[:, None], w[None])
ogrid = (tg.arange(2)[:, None], tg.arange(3)[None])
cartesian_prod = tg.stack([g.flatten() for g in tg.meshgrid(v, w, indexing="ij")], axis=1)
convolve = of vectors: tg.conv1d(tg.pad(x, len(y) - 1)[None, None], tg.flip(y)[None, None])[0, 0]
correlate = of vectors: tg.conv1d(x[None, None], y[None, None])[0, 0]
in1d = tg.isin(x, y).flatten()
isscalar = isinstance(x, int | float | complex)
r_ = tg.concat([x, y])
union1d = tg.unique(tg.concat([x, y], axis=None))
intersect1d = tg.unique(x[tg.isin(x, y)])
setdiff1d = tg.unique(x[~tg.isin(x, y)])
nanargmax = tg.argmax(tg.where(tg.isnan(x), -tg.inf, x))
nanargmin = tg.argmin(tg.where(tg.isnan(x), tg.inf, x))
nancumsum = tg.cumulative_sum(tg.where(tg.isnan(x), 0.0, x).flatten())
nancumprod = tg.cumulative_prod(tg.where(tg.isnan(x), 1.0, x).flatten())
cond = tg.svdvals(x)[..., 0] / tg.svdvals(x)[..., -1]
kl_div = tg.nn.functional.kl_div(x, y)
bilinear = of matrices: tg.einsum("bi,oij,bj->bo", x, tg.ones((1, x.shape[1], y.shape[1])), y)
view_as_real = tg.stack([tg.real(z), tg.imag(z)], axis=-1)
to_dlpack = x.__dlpack__()
array_equiv = bool(tg.all(x == y))
ndenumerate ndindex = np.ndenumerate(x.numpy())
array2string array_repr array_str = repr(x)
set_printoptions printoptions = np.printoptions(precision=3)
seterr errstate = tg.debug()
set_anomaly_enabled is_anomaly_enabled = tg.debug()
diag_indices = (tg.arange(3), tg.arange(3))
diag_indices_from = of square matrices: (tg.arange(len(x)), tg.arange(len(x)))
uint uintp ulong ulonglong = tg.uint64
uintc = tg.uint32
ushort = tg.uint16
apply_along_axis = of matrices: tg.stack([tg.sin(row) for row in x])
apply_over_axes = tg.sum(x, axis=0, keepdims=True)
piecewise = tg.where(x > 0, x, -x)
pdist = of matrices: tg.norm(x[:, None] - x[None], axis=-1)[tg.nonzero(tg.triu(tg.ones((len(x),
    len(x))), k=1))]
cumulative_trapezoid = tg.cumulative_sum((x[..., 1:] + x[..., :-1]) / 2, axis=-1)
embedding_bag = tg.sum(tg.nn.Embedding(3, 4)(i), axis=0)
margin_ranking_loss = tg.nn.functional.margin_ranking_loss(x, y, z)
hinge_embedding_loss = tg.nn.functional.hinge_embedding_loss(x, tg.sign(y))
poisson_nll_loss = tg.nn.functional.poisson_nll_loss(x, y)
functional = tg.nn.functional
jacrev jacfwd = tg.jacobian
func = tg.grad, tg.jacobian, tg.hessian, tg.vjp, tg.jvp
LongTensor = tg.tensor([1, 2], dtype=tg.int64)
IntTensor = tg.tensor([1, 2], dtype=tg.int32)
FloatTensor = tg.tensor([1.0, 2.0], dtype=tg.float32)
DoubleTensor = tg.tensor([1.0, 2.0], dtype=tg.float64)
HalfTensor = tg.tensor([1.0, 2.0], dtype=tg.float16)
BoolTensor = tg.tensor([True, False])
ByteTensor = tg.tensor([1, 2], dtype=tg.uint8)
Size = tuple(x.shape)
shares_memory may_share_memory = np.shares_memory(x.numpy(), y.numpy())
vmap vectorize = tg.stack([tg.sin(row) for row in x])
"""
"""Functions of PyTorch's or NumPy's namespace."""

WORDS = """
enable_grad is_grad_enabled set_grad_enabled = gradients are computed everywhere but in a block of
    with tg.no_grad():, so leave the block
retains_grad = x.retain_grad() keeps the gradient in x.grad
"""
"""Names whose answer is a sentence."""

ABSENT = """
    rearrange linearize cli reduce
    convolution getfield is_shared layout lu_solve min_scalar_type reinforce resolve_conj setfield
    storage_offset
    adaptive_max_pool1d avg_pool3d bcomplex32 bfloat16 complex32 conv3d conv_transpose3d
    dsmm eig frexp hsmm igamma igammac int1 int2 int3 int4 int5 int6 int7 lstm lu max_pool3d
    mkldnn_adaptive_avg_pool2d mvlgamma polygamma qint32 qint8 quint8 rrelu_ smm spmm svd_lowrank
    symeig typename uint1 uint2 uint3 uint4 uint5 uint6 uint7 unravel_index
"""
"""Names without an equivalent, for which a similar name would be a wrong suggestion."""
