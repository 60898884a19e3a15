"""How names of PyTorch and NumPy are spelled here: of tensors, and of functions.

In what follows x, y are tensors, z is complex, v, w are vectors, s has no axes, i holds integers,
condition booleans. Each line holds names, and an expression that means the same.
"""

__all__ = ["ABSENT", "BOTH", "NAMESPACE", "TENSOR"]

BOTH = """
absolute fabs = tg.abs(x)
arccos = tg.acos(x)
arccosh = tg.acosh(x)
arcsin = tg.asin(x)
arcsinh = tg.asinh(x)
arctan = tg.atan(x)
arctan2 = tg.atan2(x, y)
arctanh = tg.atanh(x)
addcdiv = x + 0.5 * y / y
addcmul = x + 0.5 * x * y
addmm addbmm baddbmm = x + x @ x
addmv = v + x @ v
addr = x + tg.outer(v, v)
allclose = tg.all(tg.abs(x - y) <= 1e-8 + 1e-5 * tg.abs(y))
isclose = tg.abs(x - y) <= 1e-8 + 1e-5 * tg.abs(y)
amax = tg.max(x, axis=0)
amin = tg.min(x, axis=0)
aminmax = (tg.min(x), tg.max(x))
ptp = tg.max(x) - tg.min(x)
angle = tg.atan2(tg.imag(z), tg.real(z))
argwhere = tg.stack(tg.nonzero(x), axis=1)
flatnonzero = tg.nonzero(tg.flatten(x))[0]
array_equal = x.shape == y.shape and bool(tg.all(x == y))
average = tg.sum(x * x) / tg.sum(x)
bincount = tg.sum(tg.one_hot(i, 3), axis=0)
bitwise_not invert = tg.bitwise_invert(i)
bmm mm mv matvec vecmat = x @ x
dot inner = tg.vecdot(v, w)
vdot = tg.vecdot(v, w)
ger = tg.outer(v, w)
cbrt = tg.sign(x) * tg.abs(x) ** (1 / 3)
chunk dsplit hsplit vsplit = tg.split(x, 2, axis=0)
split_with_sizes array_split tensor_split unsafe_chunk unsafe_split = tg.split(x, [1], axis=0)
unsafe_split_with_sizes = tg.split(x, [1], axis=0)
clamp = tg.clip(x, 0.0, 1.0)
clamp_max fmin = tg.minimum(x, 1.0)
clamp_min fmax = tg.maximum(x, 0.0)
clone copy = tg.asarray(x, copy=True)
conjugate conj_physical resolve_conj = tg.conj(z)
cumprod = tg.cumulative_prod(x, axis=0)
cumsum = tg.cumulative_sum(x, axis=0)
deg2rad radians = x * (tg.pi / 180)
rad2deg degrees = x * (180 / tg.pi)
diagflat diag_embed = tg.diag(v)
dist = tg.norm(x - y)
div true_divide = x / y
divmod = (x // y, x % y)
eq = x == y
exp2 = 2.0 ** x
expand = tg.broadcast_to(x, (4, 2, 2))
expand_as = tg.broadcast_to(x, y.shape)
fix = tg.trunc(x)
fliplr = tg.flip(x, axis=1)
flipud = tg.flip(x, axis=0)
float_power power = x ** y
fmod = x - tg.trunc(x / y) * y
frac = x - tg.trunc(x)
gather take_along_dim = tg.take_along_axis(x, tg.argmax(x, axis=1, keepdims=True), axis=1)
ge = x >= y
gt = x > y
hardshrink = tg.where(tg.abs(x) > 0.5, x, 0.0)
heaviside = tg.where(x > 0, 1.0, 0.0)
index_add scatter_add = x.at[i].add(1.0)
index_copy index_put index_fill scatter put place = x.at[i].set(1.0)
masked_scatter select_scatter slice_scatter diagonal_scatter putmask = x.at[condition].set(1.0)
put_along_axis fill_diagonal = x.at[i, i].set(1.0)
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
topk = tg.sort(x, axis=-1, descending=True)[..., :2]
msort = tg.sort(x, axis=0)
median = tg.mean(tg.sort(v)[(len(v) - 1) // 2 : len(v) // 2 + 1])
nanmedian = tg.sort(v)[tg.sum(~tg.isnan(v)) // 2]
le = x <= y
left_shift = i << 1
right_shift = i >> 1
lerp = x + 0.5 * (y - x)
logaddexp2 = tg.logaddexp(x * tg.log(2.0), y * tg.log(2.0)) / tg.log(2.0)
logdet = tg.slogdet(x).logabsdet
logit = tg.log(x) - tg.log1p(-x)
lstsq = tg.pinv(x) @ v
lt = x < y
masked_fill = tg.where(condition, 0.0, x)
masked_select extract compress = x[condition]
mod = x % y
modf = (x - tg.trunc(x), tg.trunc(x))
movedim = tg.moveaxis(x, 0, 1)
rollaxis = tg.moveaxis(x, 0, 1)
mul = x * y
nansum = tg.sum(tg.where(tg.isnan(x), 0.0, x))
nanmean = tg.sum(tg.where(tg.isnan(x), 0.0, x)) / tg.sum(~tg.isnan(x))
nanmax = tg.max(tg.where(tg.isnan(x), -tg.inf, x))
nanmin = tg.min(tg.where(tg.isnan(x), tg.inf, x))
nanprod = tg.prod(tg.where(tg.isnan(x), 1.0, x))
narrow narrow_copy = x[0:1]
ne = x != y
neg = -x
sub = x - y
permute = x.permute_dims(1, 0)
transpose swapdims = tg.swapaxes(x, 0, 1)
adjoint = tg.conj(z.mT)
t = x.T
prelu = tg.where(x > 0, x, 0.25 * x)
ravel = x.flatten()
repeat_interleave = tg.repeat(x, 2, axis=0)
rint around = tg.round(x)
rsqrt = 1 / tg.sqrt(x)
select = x[:, 0]
choose = tg.take(x, i, axis=0)
sgn = tg.sign(x)
sinc = tg.where(x == 0, 1.0, tg.sin(tg.pi * x) / (tg.pi * tg.where(x == 0, 1.0, x)))
unbind = tg.unstack(x)
unflatten = x.reshape(2, 2, 1)
unsqueeze = tg.expand_dims(x, axis=0)
view = x.reshape(2, 3)
numel nelement = x.size
xlogy = tg.where(x == 0, 0.0, x * tg.log(tg.where(x == 0, 1.0, y)))
resize = x.reshape(2, 2)
renorm = x / tg.maximum(tg.norm(x), 1.0)
histc histogram = tg.searchsorted(tg.sort(v), tg.linspace(0.0, 1.0, 5))
logcumsumexp = tg.log(tg.cumulative_sum(tg.exp(x - tg.max(x)), axis=0)) + tg.max(x)
ldexp = x * 2.0 ** i
quantile nanquantile percentile nanpercentile = tg.sort(v)[round(0.9 * (len(v) - 1))]
cholesky_solve lu_solve triangular_solve = tg.solve(x, y)
cholesky_inverse = tg.inv(x)
is_nonzero = bool(s)
is_same_size = x.shape == y.shape
is_signed = tg.isdtype(x.dtype, "signed integer")
mode unique_consecutive = tg.unique_counts(x)
zero_ = x.data = tg.zeros_like(x)
cov = (x - tg.mean(x, axis=1, keepdims=True)) @ (x - tg.mean(x, axis=1, keepdims=True)).T / (2 - 1)
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
get_device is_cuda is_cpu = x.device
dim ndimension = x.ndim
element_size itemsize = x.dtype.itemsize
nbytes = x.size * x.dtype.itemsize
strides stride = x.numpy().strides
flags = x.numpy().flags
flat = x.flatten()
tobytes = x.numpy().tobytes()
tofile dump = x.numpy().tofile("file")
dumps = x.numpy().dumps()
data_ptr = x.numpy().ctypes.data
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
fill_diagonal_ = x = x.at[i, i].set(1.0)
storage_offset layout = x.numpy().strides
map_ apply_ = x.data = tg.exp(x)
bernoulli = tg.random.bernoulli(x.shape, 0.5)
multinomial = tg.random.choice(3, 5, p=[0.2, 0.3, 0.5])
index = x[i]
is_contiguous is_shared = x.numpy().flags.c_contiguous
storage untyped_storage values to_dense const_data_ptr = x.data
unfold = tg.stack([v[j : j + 2] for j in range(len(v) - 1)])
log_normal_ = x.data = tg.exp(tg.random.normal(x.shape))
new_tensor new = tg.tensor([1.0], dtype=x.dtype)
new_empty = tg.empty((2, 3), dtype=x.dtype)
new_full = tg.full((2, 3), 1.0, dtype=x.dtype)
new_ones = tg.ones((2, 3), dtype=x.dtype)
new_zeros = tg.zeros((2, 3), dtype=x.dtype)
reshape_as view_as resize_as = x.reshape(y.shape)
set_ = x.data = y
sum_to_size = x.sum(axis=0, keepdims=True)
reinforce = x.detach()
retains_grad = x.is_leaf
setflags = x.numpy().setflags
setfield getfield = x.astype(y.dtype)
equal = tg.equal(x, y)
"""
"""Methods of a tensor that have another meaning, or none, as functions."""

NAMESPACE = """
array as_tensor asanyarray ascontiguousarray asfortranarray asarray_chkfinite = tg.asarray([1.0])
from_numpy frombuffer fromiter = tg.asarray([1.0])
scalar_tensor = tg.tensor(1.0)
cat concatenate = tg.concat([x, y], axis=0)
vstack row_stack = tg.concat([x, y], axis=0)
hstack = tg.concat([x, y], axis=1)
column_stack = tg.stack([v, w], axis=1)
dstack = tg.stack([x, y], axis=2)
append = tg.concat([x, y], axis=None)
insert = tg.concat([x[:1], y, x[1:]], axis=0)
block = tg.concat([tg.concat([x, y], axis=1), tg.concat([x, y], axis=1)], axis=0)
delete = tg.concat([x[:1], x[2:]], axis=0)
atleast_1d = tg.reshape(s, (-1,))
atleast_2d = tg.expand_dims(v, axis=0)
atleast_3d = tg.expand_dims(x, axis=2)
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
bernoulli = tg.random.bernoulli((2, 3), 0.5)
multinomial = tg.random.choice(3, 5, p=[0.2, 0.3, 0.5])
default_generator = tg.random.default_generator
range = tg.arange(0, 10)
logspace geomspace = 10.0 ** tg.linspace(0, 2, 5)
identity = tg.eye(3)
tri = tg.tril(tg.ones((3, 3)))
tril_indices tril_indices_from = tg.nonzero(tg.tril(tg.ones((3, 3))))
triu_indices triu_indices_from = tg.nonzero(tg.triu(tg.ones((3, 3))))
broadcast_tensors broadcast = tg.broadcast_arrays(x, y)
broadcast_shapes = tg.broadcast_arrays(x, y)[0].shape
save savez savez_compressed = np.savez("file.npz", x=x.numpy())
load = np.load("file.npz")
savetxt = np.savetxt("file.txt", x.numpy())
loadtxt genfromtxt fromfile = tg.tensor(np.loadtxt("file.txt"))
is_tensor = isinstance(x, tg.Tensor)
is_grad_enabled set_grad_enabled inference_mode enable_grad = tg.no_grad()
detach = x.detach()
detach_copy stop_gradient = x.detach()
set_default_tensor_type = tg.set_default_dtype(tg.float64)
set_default_device = tg.default_device("cpu")
promote_types common_type min_scalar_type = tg.result_type(x, y)
issubdtype = tg.isdtype(x.dtype, "real floating")
isrealobj = not tg.isdtype(x.dtype, "complex floating")
var_mean = (tg.var(x, correction=1), tg.mean(x))
std_mean = (tg.std(x, correction=1), tg.mean(x))
batch_norm instance_norm native_batch_norm = tg.nn.BatchNorm1d(3)
layer_norm native_layer_norm = tg.nn.LayerNorm(3)
rms_norm = x / tg.sqrt(tg.mean(x * x, axis=-1, keepdims=True))
gru_cell = tg.nn.GRU(3, 4)
embedding = tg.nn.Embedding(3, 4)
cosine_similarity = tg.vecdot(x, y) / (tg.norm(x, axis=-1) * tg.norm(y, axis=-1))
pairwise_distance cdist = tg.norm(x - y, axis=-1)
binary_cross_entropy_with_logits = tg.mean(tg.softplus(x) - x * y)
frobenius_norm nuclear_norm = tg.matrix_norm(x)
chain_matmul = x @ x @ x
select = tg.where(x > 1, x, tg.where(x > 0, y, 0.0))
ndim = x.ndim
shape = x.shape
size = x.size
ndarray = tg.Tensor
bucketize digitize = tg.searchsorted(tg.sort(v), v)
complex = tg.asarray(x) + 1j * tg.asarray(y)
fill = tg.full_like(x, 1.0)
rsub = y - x
selu = 1.0507 * tg.elu(x, alpha=1.67326)
celu rrelu = tg.elu(x)
threshold = tg.where(x > 0.5, x, 0.0)
constant_pad_nd = tg.pad(x, 1)
trapezoid trapz = tg.sum((v[1:] + v[:-1]) / 2)
gradient = tg.concat([v[1:2] - v[:1], (v[2:] - v[:-2]) / 2, v[-1:] - v[-2:-1]])
ediff1d = tg.diff(v)
vander = v[:, None] ** tg.arange(3)
polyval = tg.sum(v * 2.0 ** tg.arange(3))
indices = tg.meshgrid(tg.arange(2), tg.arange(3), indexing="ij")
ix_ mgrid ogrid = tg.meshgrid(tg.arange(2), tg.arange(3), indexing="ij")
cartesian_prod = tg.stack([g.flatten() for g in tg.meshgrid(v, w, indexing="ij")], axis=1)
convolve correlate convolution = tg.conv1d(v[None, None], w[None, None])
in1d = tg.isin(i, i)
isscalar = x.ndim == 0
r_ c_ = tg.concat([x, y])
union1d = tg.unique(tg.concat([v, w]))
intersect1d = v[tg.isin(v, w)]
setdiff1d = v[~tg.isin(v, w)]
nanargmax = tg.argmax(tg.where(tg.isnan(x), -tg.inf, x))
nanargmin = tg.argmin(tg.where(tg.isnan(x), tg.inf, x))
nancumsum = tg.cumulative_sum(tg.where(tg.isnan(v), 0.0, v))
nancumprod = tg.cumulative_prod(tg.where(tg.isnan(v), 1.0, v))
cond = tg.svdvals(x)[0] / tg.svdvals(x)[-1]
kl_div = tg.mean(y * (tg.log(y) - x))
bilinear = tg.einsum("bi,oij,bj->bo", x, tg.ones((1, 2, 2)), y)
view_as_real = tg.stack([tg.real(z), tg.imag(z)], axis=-1)
to_dlpack = x.__dlpack__()
array_equiv = bool(tg.all(x == y))
ndenumerate ndindex = np.ndenumerate(x.numpy())
array2string array_repr array_str = repr(x)
set_printoptions printoptions = np.printoptions(precision=3)
seterr errstate = tg.debug()
set_anomaly_enabled is_anomaly_enabled = tg.debug()
diag_indices diag_indices_from = tg.diagonal(x)
uint uintp ulong ulonglong = tg.uint64
uintc = tg.uint32
ushort = tg.uint16
apply_along_axis apply_over_axes = tg.stack([tg.sin(row) for row in x])
piecewise = tg.where(x > 0, x, -x)
pdist = tg.norm(x[:, None] - x[None], axis=-1)
cumulative_trapezoid = tg.cumulative_sum((v[1:] + v[:-1]) / 2)
embedding_bag = tg.sum(tg.nn.Embedding(3, 4)(i), axis=0)
margin_ranking_loss hinge_embedding_loss = tg.mean(tg.relu(y - x))
poisson_nll_loss = tg.mean(tg.exp(x) - y * x)
shares_memory may_share_memory = np.shares_memory(x.numpy(), y.numpy())
vmap vectorize = tg.stack([tg.sin(row) for row in x])
"""
"""Functions of PyTorch's or NumPy's namespace."""

ABSENT = """
    adaptive_max_pool1d avg_pool3d bcomplex32 bfloat16 complex32 conv3d conv_transpose3d cummax
    cummin dsmm eig erfinv frexp hsmm int1 int2 int3 int4 int5 int6 int7 lgamma lstm lu max_pool3d
    mkldnn_adaptive_avg_pool2d qint32 qint8 quint8 rrelu_ smm spmm svd_lowrank symeig typename uint1
    uint2 uint3 uint4 uint5 uint6 uint7 unravel_index
"""
"""Names without an equivalent, for which a similar name would be a wrong suggestion."""
