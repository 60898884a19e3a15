"""Names of PyTorch and NumPy that have no equivalent here: sparse, quantised, other devices …"""


def _words(text: str) -> set[str]:
    return set(text.split())


ON_TENSORS = _words("""
    getfield is_shared layout lu_solve reinforce resolve_conj setfield storage_offset
    as_strided as_strided_ as_strided_scatter as_subclass bfloat16 cauchy_ ccol_indices chalf
    coalesce col_indices corrcoef crow_indices dense_dim dequantize
    dim_order eig frexp gcd gcd_ geometric_ geqrf grad_dtype hash_tensor
    igamma igamma_ igammac igammac_ index_reduce index_reduce_ indices int_repr ipu
    is_coalesced is_conj is_distributed is_inference is_ipu is_maia is_meta is_mkldnn is_mps
    is_mtia is_neg is_nested is_pinned is_quantized is_set_to is_sparse is_sparse_csr is_vulkan
    is_xla is_xpu istft lcm lcm_ lu map2_ matrix_exp module_load mtia mvlgamma
    mvlgamma_ new_empty_strided nonzero_static orgqr ormqr output_nr pin_memory polygamma
    polygamma_ q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale
    q_zero_point qscheme record_stream register_post_accumulate_grad_hook resize_as_sparse_
    resolve_neg retain_grad row_indices scatter_reduce scatter_reduce_ share_memory_
    slice_inverse smm sparse_dim sparse_mask sparse_resize_ sparse_resize_and_clear_ sspaddmm
    stft storage_type symeig to_mkldnn to_padded_tensor to_sparse to_sparse_bsc to_sparse_bsr
    to_sparse_coo to_sparse_csc to_sparse_csr volatile xpu
""")
"""Of torch.Tensor and np.ndarray."""

IN_NAMESPACES = ON_TENSORS | _words("""
    convolution min_scalar_type
    adaptive_max_pool1d affine_grid_generator alias_copy alpha_dropout alpha_dropout_
    are_deterministic_algorithms_enabled as_strided_copy asmatrix autocast
    autocast_decrement_nesting autocast_increment_nesting bartlett bartlett_window base_repr
    batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt
    batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_stats
    batch_norm_update_stats bcomplex32 binary_repr binomial bit bits16 bits1x8 bits2x4 bits4x2
    bits8 bitwise_count blackman blackman_window block_diag bmat busday_count busday_offset
    busdaycalendar bytes_ ccol_indices_copy celu_ channel_shuffle channels_last channels_last_3d
    character choose_qparams_optimized classproperty clear_autocast_cache clongdouble
    col_indices_copy combinations compiled_with_cxx11_abi complex256 complex32 complexfloating
    contiguous_format conv3d conv_tbc conv_transpose3d copyto cosine_embedding_loss
    crow_indices_copy ctc_loss cudnn_affine_grid_generator cudnn_batch_norm cudnn_convolution
    cudnn_convolution_add_relu cudnn_convolution_relu cudnn_convolution_transpose
    cudnn_grid_sampler cudnn_is_acceptable datetime64 datetime_as_string datetime_data
    diagonal_copy dsmm einsum_path embedding_renorm_ empty_permuted empty_quantized
    empty_strided euler_gamma expand_copy fake_quantize_per_channel_affine
    fake_quantize_per_tensor_affine fbgemm_linear_fp16_weight
    fbgemm_linear_fp16_weight_fp32_activation fbgemm_linear_int8_weight
    fbgemm_linear_int8_weight_fp32_activation fbgemm_linear_quantize_weight
    fbgemm_pack_gemm_matrix_fp16 fbgemm_pack_quantized_matrix feature_alpha_dropout
    feature_alpha_dropout_ feature_dropout feature_dropout_ flatiter flexible float128
    float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu
    floating fork format_float_positional format_float_scientific from_file fromfunction
    frompyfunc fromregex fromstring fused_moving_avg_obs_fake_quant generic
    get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype get_autocast_ipu_dtype
    get_autocast_xla_dtype get_deterministic_debug_mode get_device get_device_module
    get_file_path get_float32_matmul_precision get_include get_num_interop_threads
    get_num_threads get_printoptions get_rng_state getbufsize geterr geterrcall grid_sampler
    grid_sampler_2d grid_sampler_3d hamming hamming_window hann_window hanning
    has_lapack has_mkl has_openmp has_spectral histogram2d histogram_bin_edges histogramdd hsmm
    hspmm import_ir_module import_ir_module_from_buffer index_exp indices_copy inexact info
    init_num_threads initial_seed int1 int2 int3 int4 int5 int6 int7 integer interp
    is_anomaly_check_nan_enabled is_autocast_cache_enabled is_autocast_cpu_enabled
    is_autocast_enabled is_autocast_ipu_enabled is_autocast_xla_enabled is_busday
    is_deterministic_algorithms_warn_only_enabled is_inference_mode_enabled is_storage
    is_vulkan_available is_warn_always_enabled isfortran isnat iterable jagged kaiser
    kaiser_window layout legacy_contiguous_format lexsort little_endian lobpcg longdouble lstm
    lu_unpack mask_indices matrix max_pool1d_with_indices max_pool3d memmap
    memory_format merge_type_from_type_comment mintypecode miopen_batch_norm miopen_convolution
    miopen_convolution_add_relu miopen_convolution_relu miopen_convolution_transpose
    miopen_ctc_loss miopen_depthwise_convolution miopen_rnn mkldnn_adaptive_avg_pool2d
    mkldnn_convolution mkldnn_linear_backward_weights mkldnn_max_pool2d mkldnn_max_pool3d
    mkldnn_rnn_layer nanstd nanvar native_channel_shuffle native_dropout native_group_norm
    native_norm nditer nested_iters norm_except_dim number object_ packbits parse_ir
    parse_schema parse_type_comment pca_lowrank per_channel_affine
    per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine
    per_tensor_symmetric permute_copy pixel_shuffle pixel_unshuffle poisson polar poly poly1d
    polyadd polyder polydiv polyfit polyint polymul polysub prepare_multiprocessing_environment
    preserve_format profiler_allow_cudagraph_cupti_lazy_reinit_cuda12 qint32 qint8
    quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic quantized_batch_norm
    quantized_gru quantized_gru_cell quantized_lstm quantized_lstm_cell quantized_max_pool1d
    quantized_max_pool2d quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell
    quint2x4 quint4x2 quint8 ravel_multi_index real_if_close recarray require rnn_relu
    rnn_relu_cell rnn_tanh rnn_tanh_cell roots row_indices_copy rrelu_ s_ saddmm sctypeDict
    segment_reduce select_copy selu_ set_autocast_cache_enabled set_autocast_cpu_dtype
    set_autocast_cpu_enabled set_autocast_dtype set_autocast_enabled set_autocast_gpu_dtype
    set_autocast_ipu_dtype set_autocast_ipu_enabled set_autocast_xla_dtype
    set_autocast_xla_enabled set_deterministic_debug_mode set_float32_matmul_precision
    set_flush_denormal set_num_interop_threads set_num_threads set_rng_state set_warn_always
    setbufsize seterrcall setxor1d show_config show_runtime signedinteger slice_copy
    sort_complex spacing sparse_bsc sparse_bsc_tensor sparse_bsr sparse_bsr_tensor
    sparse_compressed_tensor sparse_coo sparse_coo_tensor sparse_csc sparse_csc_tensor
    sparse_csr sparse_csr_tensor split_copy split_with_sizes_copy spmm squeeze_copy str_ strided
    svd_lowrank sym_constrain_range sym_constrain_range_for_size sym_float sym_fresh_size
    sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum t_copy test thread_safe_generator
    threshold_ timedelta64 transpose_copy trim_zeros triplet_margin_loss typecodes typename
    ufunc uint1 uint2 uint3 uint4 uint5 uint6 uint7 unbind_copy unfold_copy unify_type_list
    unpackbits unravel_index unsignedinteger unsqueeze_copy unwrap use_deterministic_algorithms
    values_copy view_as_complex view_as_complex_copy view_as_real_copy view_copy void wait
    while_loop
""")
"""Of torch and np."""
