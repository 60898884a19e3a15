"""Methods of PyTorch's modules that there are not here, each with what to write instead."""

__all__ = ["INSTEAD"]

_EXTRA = "state_dict() holds numbers alone: register_buffer(name, tensor) saves more of them"
_HOOK = "change what state_dict() returned, or what load_state_dict(...) is given"
_GPU = "module.to(device) moves it, module.cuda() to a GPU"

INSTEAD = {
    "compile": "tg.compile(module) compiles calls of it",
    "flatten_parameters": "weights need no flattening: leave it out",
    "get_extra_state": _EXTRA,
    "set_extra_state": _EXTRA,
    "ipu": _GPU,
    "mtia": _GPU,
    "xpu": _GPU,
    "register_load_state_dict_post_hook": _HOOK,
    "register_load_state_dict_pre_hook": _HOOK,
    "register_state_dict_post_hook": _HOOK,
    "register_state_dict_pre_hook": _HOOK,
    "reset_parameters": "make the layer anew, or fill its parameters: "
    "tg.nn.init.kaiming_uniform_(layer.weight)",
    "reset_running_stats": "make the layer anew, or fill its buffers: "
    "tg.nn.init.zeros_(layer.running_mean), tg.nn.init.ones_(layer.running_var)",
    "set_submodule": "setattr(module.get_submodule(parent), name, other)",
    "share_memory": "a net is trained in one process: leave it out",
    "to_empty": "layers have numbers when they are made: module.to(device)",
}
