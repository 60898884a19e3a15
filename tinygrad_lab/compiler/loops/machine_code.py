"""Loops as machine code: made by LLVM, kept on disk, and called.

LLVM comes as ``llvmlite``, the part of numba that generates code. numba itself is not used: it
infers the types of arbitrary Python, and takes twenty times as long for these loops, whose types
are written down.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from tinygrad_lab.compiler.loops import assembly, loop_functions, products
from tinygrad_lab.files import write_atomically

__all__ = ["MachineCode", "machine_code"]


class _Method(ctypes.Structure):
    """Python's ``PyMethodDef``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    )


_METH_FASTCALL = 0x80
"""The function receives its arguments as an array."""
_methods: list[_Method] = []
"""Kept forever: Python still reads one when its function is freed. They are small."""


class MachineCode:
    """Compiled functions."""

    def __init__(self, code: bytes) -> None:
        for name, address in products.addresses().items():
            llvm.add_symbol(f"{assembly.PREFIX}{name}", address)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def function(self, name: str) -> Callable[..., int]:
        """Return one of the functions. It does not check its arguments."""
        address = self._engine.get_function_address(f"{assembly.ENTRY}{name}")
        method = _Method(name.encode(), address, _METH_FASTCALL, None)
        _methods.append(method)
        # A call through ctypes would take a microsecond longer. The function holds a reference to
        # this object, as methods do: the code lives as long as its functions.
        made = ctypes.PYFUNCTYPE(
            ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
        )(("PyCFunction_NewEx", ctypes.pythonapi))
        return made(ctypes.addressof(method), self, None)


def machine_code(source: str) -> MachineCode:
    """Return the functions of a source, compiled now or in an earlier process."""
    path = _folder() / f"{_key(source)}.o"
    code = _kept(path)
    if code is None:
        code = _compiled(source)
        # If the folder is not writable, the next process compiles again; nothing else is lost.
        with contextlib.suppress(OSError):
            _keep(code, path)
    return MachineCode(code)


def _compiled(source: str) -> bytes:
    """Compile the source of loops into an object file."""
    machine = _machine()
    functions = Path(loop_functions.__file__).read_text(encoding="utf-8")
    module = llvm.parse_assembly(assembly.assembly_of(source, functions))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.loop_interleaving = True
    # LLVM would unroll loops of known length hundreds of times: the code gets no faster, and
    # compiling takes five times as long.
    options.loop_unrolling = False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module)


def _machine() -> Any:
    """Describe this processor to LLVM; each engine takes ownership of one description."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        *_processor(), opt=2, jit=True, codemodel="jitdefault"
    )


def _processor() -> tuple[str, str]:
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


# --- on disk -------------------------------------------------------------------------------------


def _key(source: str) -> str:
    """Name the code compiled from a source here, by everything that affects it."""
    files = (__file__, assembly.__file__, loop_functions.__file__)
    here = (llvm.get_process_triple(), *_processor(), llvm.llvm_version_info, object.__basicsize__)
    parts = [source, *map(str, here)]
    parts += [Path(file).read_text(encoding="utf-8") for file in files]
    return "loops_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _folder() -> Path:
    """Return the folder for compiled loops, in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tinygrad_lab" / "loops"


def _keep(code: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process may write the same file.
    write_atomically(path, hashlib.sha256(code).digest() + code)


def _kept(path: Path) -> bytes | None:
    """Return what was kept; None if it cannot be read, or is not what was written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == digest else None
