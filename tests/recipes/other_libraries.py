"""Calls of NumPy and PyTorch that the spellings of ``tinygrad_lab.other_names`` are held against.

For a name, or a name and the condition that a spelling states: calls of either library, with the
values of the test. Without an entry ``np.name`` and ``torch.name`` are called with the variables
of the spelling: x, y or z, i or x.
"""

from __future__ import annotations

__all__ = ["CALLS", "NOT_COMPARED"]


def _calls(text: str) -> dict[str, list[str]]:
    found = {}
    for line in text.strip().splitlines():
        names, calls = line.split(" = ", 1)
        for name in names.split(", "):
            found[name] = calls.split(" | ")
    return found


CALLS = _calls("""
addcdiv = torch.addcdiv(x, x, y, value=0.5)
addcmul = torch.addcmul(x, x, y, value=0.5)
addmm = torch.addmm(x, x, y)
baddbmm = torch.baddbmm(x, x, y)
addbmm = torch.addbmm(x[0], x, y)
addmv = torch.addmv(v, x, v)
addr = torch.addr(x, v, w)
average with weights y = np.average(x, weights=y)
bincount = np.bincount(i, minlength=3) | torch.bincount(i, minlength=3)
bitwise_not, invert = np.bitwise_not(i) | torch.bitwise_not(i)
mv = torch.mv(x, v)
matvec = np.matvec(x, v)
vecmat = np.vecmat(v, x)
chunk in two, unsafe_chunk in two = torch.chunk(x, 2)
hsplit of vectors, hsplit of more axes = np.hsplit(x, [1]) | torch.hsplit(x, [1])
dsplit = np.dsplit(x, [1]) | torch.dsplit(x, [1])
vsplit = np.vsplit(x, [1]) | torch.vsplit(x, [1])
array_split = np.array_split(x, [1])
tensor_split = torch.tensor_split(x, [1])
split_with_sizes sizes 1 and the rest = torch.split_with_sizes(x, [1, len(x) - 1])
unsafe_split_with_sizes sizes 1 and the rest = torch.unsafe_split_with_sizes(x, [1, len(x) - 1])
unsafe_split pieces of size 2 = torch.unsafe_split(x, 2)
clamp = torch.clamp(x, 0.0, 1.0)
clamp_max = torch.clamp_max(x, 1.0)
clamp_min = torch.clamp_min(x, 0.0)
cummax along axis 0 = torch.cummax(x, 0).values
cummin along axis 0 = torch.cummin(x, 0).values
cumprod along axis 0 = np.cumprod(x, axis=0) | torch.cumprod(x, 0)
cumsum along axis 0 = np.cumsum(x, axis=0) | torch.cumsum(x, 0)
cumprod of all elements = np.cumprod(x)
cumsum of all elements = np.cumsum(x)
expand = x_torch.expand(4, *x_torch.shape)
expand_as = x_torch.expand_as(y_torch)
take_along_dim = torch.take_along_dim(x, torch.argmax(x, -1, keepdim=True), -1)
index_add along axis 0 = torch.index_add(x, 0, i, torch.ones_like(x)[i])
index_copy along axis 0 = torch.index_copy(x, 0, i, torch.ones_like(x)[i])
index_put along axis 0 = torch.index_put(x, (i,), torch.tensor(1.0, dtype=x.dtype))
index_fill along axis 0 = torch.index_fill(x, 0, i, 1.0)
put_along_axis of vectors = done(np.put_along_axis, x, i, 1.0, 0)
put = done(np.put, x, i, 1.0) | torch.Tensor.put(x, i, torch.ones_like(i).to(x.dtype))
place = done(np.place, x, condition, 1.0)
putmask = done(np.putmask, x, condition, 1.0)
masked_scatter = torch.masked_scatter(x, condition, y)
select_scatter = torch.select_scatter(x, y[0], 0, 1)
slice_scatter = torch.slice_scatter(x, y[:1], 0, 0, 1)
diagonal_scatter of square matrices = torch.diagonal_scatter(x, torch.ones_like(x[0]))
fill_diagonal of square matrices = done(np.fill_diagonal, x, 1.0)
index_select = torch.index_select(x, 0, i)
partition = np.sort(np.partition(x, 1))
argpartition = np.argsort(x)
kthvalue = torch.kthvalue(x, 2).values
left_shift = np.left_shift(i, 1)
right_shift = np.right_shift(i, 1)
lerp = torch.lerp(x, y, 0.5)
lstsq = np.linalg.lstsq(x, v)[0]
masked_select = torch.masked_select(x, condition)
extract = np.extract(condition, x)
compress = np.compress([True, False], x, axis=0)
mod = np.mod(x, y)
modf of finite numbers = np.modf(x)
movedim = torch.movedim(x, 0, 1)
rollaxis = np.rollaxis(x, 1)
narrow, narrow_copy = torch.narrow(x, 0, 0, 1)
permute of matrices = torch.permute(x, (1, 0))
permute of three axes = torch.permute(x, (2, 0, 1))
transpose of matrices = np.transpose(x) | torch.transpose(x, 0, 1)
transpose in NumPy = np.transpose(x)
transpose in PyTorch = torch.transpose(x, 0, 1)
swapdims = torch.swapdims(x, 0, 1)
adjoint = torch.adjoint(z)
prelu = torch.prelu(x, torch.tensor([0.25], dtype=x.dtype))
repeat_interleave = torch.repeat_interleave(x, 2, 0)
select in NumPy = np.select([x > 1, x > 0], [x, y], 0.0)
select in PyTorch = torch.select(x, 0, 0)
choose = np.choose(i, [x, y])
unflatten = torch.unflatten(x, 0, (1, -1))
unsqueeze = torch.unsqueeze(x, 0)
view = x_torch.view(2, 3)
resize of the same size = np.resize(x, (2, 3))
renorm of rows = torch.renorm(x, 2, 0, 1.0)
histc the counts = torch.histc(x, 4)
quantile the value = np.quantile(x, 0.9) | torch.quantile(x, 0.9)
nanquantile the value = np.nanquantile(x, 0.9) | torch.nanquantile(x, 0.9)
percentile the value = np.percentile(x, 90)
nanpercentile the value = np.nanpercentile(x, 90)
ldexp = np.ldexp(x, i) | torch.ldexp(x, i)
cholesky_solve = torch.cholesky_solve(y, x)
triangular_solve = torch.triangular_solve(y, x)[0]
is_nonzero = torch.is_nonzero(s)
mode of vectors = torch.mode(x).values
cat = torch.cat([x, y])
concatenate = np.concatenate([x, y])
vstack of vectors, vstack of more axes = np.vstack([x, y]) | torch.vstack([x, y])
row_stack of vectors, row_stack of more axes = torch.row_stack([x, y])
hstack of vectors, hstack of more axes = np.hstack([x, y]) | torch.hstack([x, y])
column_stack of vectors = np.column_stack([x, y]) | torch.column_stack([x, y])
column_stack of matrices = np.column_stack([x, y]) | torch.column_stack([x, y])
c_ of vectors, c_ of matrices = np.c_[x, y]
r_ = np.r_[x, y]
dstack of matrices, dstack of three axes = np.dstack([x, y]) | torch.dstack([x, y])
append = np.append(x, y)
insert along axis 0 = np.insert(x, 1, y, axis=0)
block of matrices = np.block([[x, y], [y, x]])
delete along axis 0 = np.delete(x, 1, axis=0)
atleast_1d of a scalar = np.atleast_1d(s) | torch.atleast_1d(s)
scalar_tensor = torch.scalar_tensor(1.0)
array, asanyarray = np.asarray([1.0])
range = torch.arange(0, 10)
logspace = np.logspace(0, 2, 5)
geomspace = np.geomspace(1, 100, 5)
identity = np.identity(3)
tri = np.tri(3)
tril_indices = np.tril_indices(3) | torch.tril_indices(3, 3)
triu_indices = np.triu_indices(3) | torch.triu_indices(3, 3)
broadcast_tensors = torch.broadcast_tensors(x, y)
broadcast_shapes = np.broadcast_shapes(x.shape, y.shape)
is_tensor = torch.is_tensor(x)
promote_types = np.promote_types(x.dtype, y.dtype)
isrealobj = np.isrealobj(x)
rms_norm = torch.rms_norm(x, x.shape[-1:])
cosine_similarity = torch.cosine_similarity(x, y, dim=-1)
pairwise_distance = F.pairwise_distance(x, y, eps=0.0)
binary_cross_entropy_with_logits = F.binary_cross_entropy_with_logits(x, y)
frobenius_norm of matrices = torch.linalg.norm(x)
nuclear_norm of matrices = torch.nuclear_norm(x)
chain_matmul = torch.chain_matmul(x, y, x)
ndim = np.ndim(x)
shape = np.shape(x)
size = np.size(x)
digitize = np.digitize(x, v)
fill = torch.fill(x, 1.0)
rrelu without training = torch.rrelu(x)
constant_pad_nd of vectors, constant_pad_nd of matrices = torch.constant_pad_nd(x, (1, 2))
vander of vectors = np.vander(x, 3) | torch.vander(x, N=3)
polyval of vectors = np.polyval(x, 2.0)
indices = np.indices((2, 3))
mgrid = np.mgrid[0:2, 0:3]
ogrid = np.ogrid[0:2, 0:3]
ix_ = np.ix_(v, w)
cartesian_prod = torch.cartesian_prod(v, w)
convolve of vectors = np.convolve(x, y)
correlate of vectors = np.correlate(x, y)
kl_div = F.kl_div(x, y)
bilinear of matrices = F.bilinear(x, y, torch.ones(1, x.shape[1], y.shape[1], dtype=x.dtype))
diag_indices = np.diag_indices(3)
apply_along_axis of matrices = np.apply_along_axis(np.sin, 1, x)
apply_over_axes = np.apply_over_axes(np.sum, x, [0])
piecewise = np.piecewise(x, [x > 0], [lambda t: t, lambda t: -t])
pdist of matrices = F.pdist(x)
margin_ranking_loss = F.margin_ranking_loss(x, y, z)
hinge_embedding_loss = F.hinge_embedding_loss(x, torch.sign(y))
poisson_nll_loss = F.poisson_nll_loss(x, y)
vmap = torch.vmap(torch.sin)(x)
vectorize = np.vectorize(np.sin)(x)
select = torch.select(x, 0, 0)
nelement, numel = torch.numel(x)
sgn of finite numbers = torch.sgn(x)
lerp of finite numbers = torch.lerp(x, y, 0.5)
gradient of vectors = np.gradient(x) | torch.gradient(x)[0]
common_type = np.dtype(np.common_type(x, y))
stride = x_torch.stride()
is_cpu = x_torch.is_cpu
is_cuda = x_torch.is_cuda
in1d = np.isin(x, y).flatten()
fill_diagonal_ of square matrices = x_torch.clone().fill_diagonal_(1.0)
cond = np.linalg.cond(x) | torch.linalg.cond(x)
H = z_torch.H
mH = z_torch.mH
dim, ndimension = x_torch.dim()
element_size = x_torch.element_size()
itemsize = x_numpy.itemsize
nbytes = x_numpy.nbytes
flat = list(x_numpy.flat)
index_reduce = x_torch
multinomial = x_torch
unfold of vectors = x_torch.unfold(0, 2, 1)
repeat in NumPy = np.repeat(x, 2)
repeat in PyTorch = x_torch.repeat(2, 1)
split pieces of size 2 = torch.split(x, 2)
sum_to_size = x_torch.sum_to_size(1, *x_torch.shape[1:])
reshape_as, view_as, resize_as = x_torch.reshape_as(y_torch)
equal = torch.equal(x, y)
new_tensor = x_torch.new_tensor([1.0])
new_full = x_torch.new_full((2, 3), 1.0)
new_ones = x_torch.new_ones((2, 3))
new_zeros = x_torch.new_zeros((2, 3))
fill_ = x_torch.clone().fill_(1.0)
tobytes = x_numpy.tobytes()
strides = x_numpy.strides
byteswap = x_numpy.byteswap()
""")
"""Calls, separated by |, in the order of the tables."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NOT_COMPARED = _words("""
    functional func jacrev jacfwd LongTensor IntTensor FloatTensor DoubleTensor HalfTensor
    BoolTensor ByteTensor Size
    array as_tensor ascontiguousarray asfortranarray asarray_chkfinite from_numpy frombuffer
    fromiter float single double float_ half int intc long int_ intp longlong short byte char
    ubyte bool_ cfloat csingle cdouble device dtype ndarray uint uintp ulong ulonglong uintc
    ushort type default_generator broadcast inference_mode stop_gradient set_default_tensor_type
    set_default_device issubdtype batch_norm instance_norm native_batch_norm layer_norm
    native_layer_norm group_norm gru_cell lstm_cell embedding embedding_bag to_dlpack
    ndenumerate ndindex
    array2string array_repr array_str set_printoptions printoptions seterr errstate
    set_anomaly_enabled is_anomaly_enabled flags ctypes base get_device grad_fn index detach_
    map_ apply_ setflags storage untyped_storage values new new_empty data_ptr const_data_ptr
    cuda save savez savez_compressed load savetxt loadtxt genfromtxt fromfile tofile dump dumps
    manual_seed rand random_sample rand_like randn normal randn_like randint randint_like
    randperm bernoulli multinomial normal_ uniform_ bernoulli_ exponential_ random_ log_normal_
""")
"""Names without a value to compare: types, modules, settings, files, addresses, random numbers."""
