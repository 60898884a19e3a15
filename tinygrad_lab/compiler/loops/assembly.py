"""Loops as LLVM's assembly language.

The source of the loops (``loops.py``) uses a small part of Python, in which everything has one type
that can be read off: ``for`` over a range of fixed length, ``if``, assignments of numbers to names
and to elements of memory, calls of a few functions. It is translated statement by statement, with
no cleverness: optimising is left to LLVM's passes.
"""

from __future__ import annotations

import ast
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ENTRY", "KINDS", "PREFIX", "assembly_of"]

ENTRY = "python_"
"""The prefix of the function that Python calls in place of another."""
PREFIX = "tinygrad_lab_"
"""The prefix of the BLAS functions: the process may have the same names from other libraries."""

KINDS = {
    "bool": "i1",
    "float32": "float",
    "float64": "double",
    **{f"{sign}int{bits}": f"i{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""The types of numbers, and what LLVM calls them."""

_GIVEN = {**KINDS, "array": "ptr"}
"""The types of a function's parameters: numbers, and NumPy's arrays as addresses of objects."""

_CASTS = {**{kind: kind for kind in KINDS}, "bool_": "bool"}
_MEMORIES = {f"memory_of_{kind}": kind for kind in KINDS}
_PRODUCTS = {
    "product": (False, False),
    "product_left_T": (True, False),
    "product_right_T": (False, True),
    "product_both_T": (True, True),
}
"""Which of two matrices are transposed."""
_BLAS = {"float32": "sgemm", "float64": "dgemm"}

_LIBRARY = frozenset({"cos", "exp", "log", "sin", "tanh"})
"""Functions of the C library."""
_INTRINSICS = {"abs": "fabs", "copysign": "copysign", "floor": "floor", "sqrt": "sqrt"}
"""Functions that LLVM knows how to compute, and its names for them."""

_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.LShift: "shl"}
_OF_BOOLEANS = {ast.Add: "or", ast.Mult: "and"}
"""NumPy's sums and products of booleans."""
_COMPARISONS = {
    ast.Gt: ("ogt", "gt"),
    ast.GtE: ("oge", "ge"),
    ast.Lt: ("olt", "lt"),
    ast.LtE: ("ole", "le"),
    ast.Eq: ("oeq", "eq"),
    ast.NotEq: ("une", "ne"),
}
"""LLVM's comparisons of floats (NaN differs from everything, itself included) and of integers."""


@dataclass(frozen=True, slots=True)
class _Number:
    """A number in LLVM's language: the name of a result, or a constant."""

    text: str
    kind: str

    def __str__(self) -> str:
        return f"{_GIVEN[self.kind]} {self.text}"

    @property
    def is_floating(self) -> bool:
        return self.kind.startswith("float")

    @property
    def is_signed(self) -> bool:
        return self.kind.startswith("int")

    @property
    def bits(self) -> int:
        return 1 if self.kind == "bool" else np.dtype(self.kind).itemsize * 8


@dataclass(frozen=True, slots=True)
class _Memory:
    """Memory that holds elements of one kind."""

    pointer: str
    kind: str
    region: int
    """Memories of different regions do not overlap."""

    @property
    def element(self) -> str:
        """The type of an element in memory: a boolean takes a byte."""
        return "i8" if self.kind == "bool" else KINDS[self.kind]


def assembly_of(loops: str, functions: str) -> str:
    """Translate loops into a module of LLVM's assembly language.

    Args:
        loops: the source of the functions. What they accumulate element by element
            (``total = total + x``) may be summed in any order; the rest is computed as written.
        functions: the source of the functions that these call, which are inlined. (Anything else
            in it, such as imports, is for Python alone.)

    Example:
        >>> loops = '''
        ... def double(x: array) -> int64:
        ...     m = memory_of_float32(x.ctypes.data, 1)
        ...     for i in range(8):
        ...         m[i] = m[i] + m[i]
        ...     return 0
        ... '''
        >>> print(assembly_of(loops, functions=""))  # doctest: +ELLIPSIS
        declare ...
        define i64 @double(ptr %given.0) nounwind {
        entry:
        ...
        loop.5:
          %i.4 = phi i64 [0, %entry], [%.13, %loop.5]
          %.7 = getelementptr inbounds float, ptr %.3, i64 %i.4
          %.8 = getelementptr inbounds float, ptr %.3, i64 %i.4
          %.9 = load float, ptr %.8, !tbaa !4
          %.10 = getelementptr inbounds float, ptr %.3, i64 %i.4
          %.11 = load float, ptr %.10, !tbaa !4
          %.12 = fadd contract nsz reassoc float %.9, %.11
          store float %.12, ptr %.7, !tbaa !4
        ...
    """
    called, calling = _functions(functions), _functions(loops)
    module = _Module({one.name: _name(one.returns) for one in (*called, *calling)})
    texts = [_Function(module, one).text(inline=True) for one in called]
    for one in calling:
        texts += [_Function(module, one).text(), _entry(module, one)]
    return "\n".join([*module.globals.values(), *texts, *module.metadata()])


def _functions(source: str) -> list[ast.FunctionDef]:
    return [one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)]


class _Module:
    """The state that the functions of a module share."""

    def __init__(self, returns: dict[str, str]) -> None:
        self.returns = returns
        """For each function of the module, the type that it returns."""
        self.globals: dict[str, str] = {}
        """By name, the lines that declare constants and external functions."""
        self.regions: set[int] = set()

    def address_of(self, kind: str, number: str) -> str:
        """Return the address of a constant, which is declared."""
        name = f'"{kind} {number}"'
        self.globals[name] = f"@{name} = private constant {kind} {number}"
        return f"ptr @{name}"

    def call(self, name: str, result: str, given: Sequence[str], attributes: str = "") -> str:
        """Write the call of an external function, which is declared."""
        kinds = ", ".join(one.split()[0] for one in given)
        self.globals[name] = f"declare {result} @{name}({kinds}) nounwind {attributes}"
        return f"call {result} @{name}({', '.join(given)})"

    def tag(self, region: int) -> str:
        """Return the tag that tells in which region a load or store is."""
        self.regions.add(region)
        return f"!tbaa !{2 * region + 2}"

    def metadata(self) -> Iterator[str]:
        """Yield the regions as C types: LLVM assumes that those do not overlap."""
        yield '!0 = !{!"memory"}'
        for region in sorted(self.regions):
            yield f'!{2 * region + 1} = !{{!"region {region}", !0, i64 0}}'
            yield f"!{2 * region + 2} = !{{!{2 * region + 1}, !{2 * region + 1}, i64 0}}"


_FROM_OBJECTS = {
    "float64": ("PyFloat_AsDouble", "double"),
    "int64": ("PyLong_AsLongLong", "i64"),
    "bool": ("PyObject_IsTrue", "i32"),
}
"""Python's functions that convert an object to a number, and the type they return."""


def _entry(module: _Module, function: ast.FunctionDef) -> str:
    """Write the function that Python calls: it takes the addresses of objects, and returns one."""
    lines, given = [], []
    for number, one in enumerate(function.args.args):
        kind, value = _name(one.annotation), f"%object.{number}"
        lines.append(f"%place.{number} = getelementptr ptr, ptr %objects, i64 {number}")
        lines.append(f"{value} = load ptr, ptr %place.{number}")
        if kind in _FROM_OBJECTS:
            call = module.call(*_FROM_OBJECTS[kind], [f"ptr {value}"])
            value = f"%number.{number}"
            lines.append(f"{value} = {call}")
        if kind == "bool":
            value = f"%truth.{number}"
            lines.append(f"{value} = trunc i32 %number.{number} to i1")
        given.append(f"{_GIVEN[kind]} {value}")
    lines.append(f"%result = call i64 @{function.name}({', '.join(given)})")
    lines.append(f"%made = {module.call('PyLong_FromLongLong', 'ptr', ['i64 %result'])}")
    head = f"define ptr @{ENTRY}{function.name}(ptr %module, ptr %objects, i64 %count) nounwind {{"
    return "\n".join([head, *(f"  {line}" for line in lines), "  ret ptr %made", "}"])


class _Function(ast.NodeVisitor):
    """The translation of one function.

    Visiting a statement writes lines; visiting an expression returns its number.
    """

    def __init__(self, module: _Module, function: ast.FunctionDef) -> None:
        self.module = module
        self.function = function
        self.flags = "contract"
        """What LLVM may do with floating-point operations: round ``x * y + z`` once."""
        self.returns = _name(function.returns)
        self.fixed: dict[str, _Number] = {}
        """Parameters, and loop counters."""
        self.memories: dict[str, _Memory] = {}
        self.variables: dict[str, str] = {}
        """By name, the kind of the number assigned last."""
        self.slots: dict[str, str] = {}
        """Where variables are kept, and their types there; LLVM turns them into registers."""
        self.lines: list[str] = []
        self.block = "entry"
        self.names = 0

    def text(self, *, inline: bool = False) -> str:
        """Write the function in LLVM's language."""
        for number, one in enumerate(self.function.args.args):
            self.fixed[one.arg] = _Number(f"%given.{number}", _name(one.annotation))
        given = ", ".join(map(str, self.fixed.values()))
        self.write(self.function.body)
        head = f"{KINDS[self.returns]} @{self.function.name}({given}) nounwind"
        return "\n".join(
            [
                f"define linkonce_odr {head} alwaysinline {{" if inline else f"define {head} {{",
                "entry:",
                *(f"  {slot} = alloca {kind}" for slot, kind in self.slots.items()),
                *self.lines,
                "  unreachable",
                "}",
            ]
        )

    # --- lines ------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def new(self, stem: str) -> str:
        """Return an unused name."""
        self.names += 1
        return f"{stem}.{self.names}"

    def result(self, operation: str) -> str:
        """Write an operation, and return the name of its result."""
        name = self.new("%")
        self.line(f"{name} = {operation}")
        return name

    def begin(self, block: str) -> None:
        self.lines.append(f"{block}:")
        self.block = block

    # --- statements -------------------------------------------------------------------------------

    def write(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.visit(statement)

    def visit_For(self, node: ast.For) -> None:
        rounds, name = _arguments(node.iter)[0].value, _name(node.target)
        if rounds == 0:
            return
        counter, before = self.new(f"%{name}"), self.block
        start, end = self.new("loop"), self.new("end")
        self.line(f"br label %{start}")
        self.begin(start)
        first = len(self.lines)
        self.fixed[name] = _Number(counter, "int64")
        self.write(node.body)
        following = self.result(f"add nuw nsw i64 {counter}, 1")
        self.lines.insert(
            first, f"  {counter} = phi i64 [0, %{before}], [{following}, %{self.block}]"
        )
        continues = self.result(f"icmp ult i64 {following}, {rounds}")
        self.line(f"br i1 {continues}, label %{start}, label %{end}")
        self.begin(end)

    def visit_If(self, node: ast.If) -> None:
        holds, inside, end = self.truth(node.test), self.new("then"), self.new("end")
        self.line(f"br i1 {holds}, label %{inside}, label %{end}")
        self.begin(inside)
        self.write(node.body)
        self.line(f"br label %{end}")
        self.begin(end)

    def visit_Return(self, node: ast.Return) -> None:
        self.line(f"ret {self.number(node.value, self.returns)}")
        self.begin(self.new("after"))

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):  # not a docstring
            self.product(_PRODUCTS[_name(node.value.func)], node.value.args)

    def visit_Assign(self, node: ast.Assign) -> None:
        (target,) = node.targets
        if _adds_up(target, node.value):
            self.flags = "contract nsz reassoc"
        if isinstance(target, ast.Subscript):
            self.store(target, node.value)
        elif isinstance(node.value, ast.Call) and _name(node.value.func) in _MEMORIES:
            address, region = node.value.args
            pointer = self.result(f"inttoptr {self.number(address)} to ptr")
            kind = _MEMORIES[_name(node.value.func)]
            self.memories[_name(target)] = _Memory(pointer, kind, region.value)  # type: ignore[attr-defined]
        else:
            self.assign(_name(target), self.number(node.value))
        self.flags = "contract"

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        now = ast.Name(_name(node.target), ast.Load())
        self.assign(now.id, self.number(ast.BinOp(now, node.op, node.value)))

    def assign(self, name: str, number: _Number) -> None:
        slot = f"%{name}.{number.kind}"
        self.slots[slot] = KINDS[number.kind]
        self.variables[name] = number.kind
        self.line(f"store {number}, ptr {slot}")

    def store(self, element: ast.Subscript, value: ast.expr) -> None:
        memory, pointer = self.element(element.value, element.slice)
        number = self.number(value, memory.kind)
        if number.kind != memory.kind:
            raise TypeError(f"{ast.unparse(value)} for {ast.unparse(element)}: another type")
        if memory.kind == "bool":
            number = self.converted(number, "uint8")
        self.line(f"store {number}, ptr {pointer}, {self.module.tag(memory.region)}")

    def product(self, transposed: tuple[bool, bool], given: list[ast.expr]) -> None:
        """Write a product of two dense matrices, by the BLAS."""
        (left, a), (_, b), (_, c) = (self.element(*given[at : at + 2]) for at in (0, 2, 4))
        # The BLAS reads its arguments from memory. Where an integer begins with its lowest byte (on
        # all machines in use), it has the same address as 32 bits and as 64.
        rows, inner, columns = (
            self.module.address_of("i64", str(_number(one))) for one in given[6:]
        )
        one, zero = (
            self.module.address_of(KINDS[left.kind], _literal(number, left.kind))
            for number in (1.0, 0.0)
        )
        left_as, right_as = (
            self.module.address_of("i8", str(ord("T" if flag else "N"))) for flag in transposed
        )
        # It stores matrices by columns: it sees the transposes of ours, and the transpose of the
        # product is the right one's times the left one's.
        arguments = [
            *(right_as, left_as, columns, rows, inner, one),
            *(f"ptr {b}", inner if transposed[1] else columns),
            *(f"ptr {a}", rows if transposed[0] else inner),
            *(zero, f"ptr {c}", columns),
        ]
        self.line(self.module.call(f"{PREFIX}{_BLAS[left.kind]}", "void", arguments))

    # --- expressions ------------------------------------------------------------------------------

    def number(self, node: Any, kind: str = "") -> _Number:
        """Return the number that an expression gives; a bare literal gets type ``kind``."""
        if not _is_literal(node):
            return self.visit(node)
        value = _number(node)
        kind = kind or {bool: "bool", int: "int64", float: "float64"}[type(value)]
        return _Number(_literal(value, kind), kind)

    def numbers(self, nodes: Sequence[ast.expr]) -> list[_Number]:
        """Return the numbers of expressions of one type, which literals take on."""
        found = {place: self.visit(x) for place, x in enumerate(nodes) if not _is_literal(x)}
        kinds = {number.kind for number in found.values()}
        if len(kinds) > 1:
            raise TypeError(f"{', '.join(map(ast.unparse, nodes))}: of different types")
        kind = kinds.pop() if kinds else ""
        return [found.get(place) or self.number(x, kind) for place, x in enumerate(nodes)]

    def truth(self, node: ast.expr) -> str:
        return self.converted(self.number(node), "bool").text

    def element(self, memory: ast.expr, index: ast.expr) -> tuple[_Memory, str]:
        """Return the address of an element."""
        found = self.memories[_name(memory)]
        offset = self.number(index)
        pointer = f"getelementptr inbounds {found.element}, ptr {found.pointer}, {offset}"
        return found, self.result(pointer)

    def visit_Subscript(self, node: ast.Subscript) -> _Number:
        memory, pointer = self.element(node.value, node.slice)
        tag = self.module.tag(memory.region)
        loaded = self.result(f"load {memory.element}, ptr {pointer}, {tag}")
        if memory.kind == "bool":
            return self.converted(_Number(loaded, "uint8"), "bool")
        return _Number(loaded, memory.kind)

    def visit_Attribute(self, node: ast.Attribute) -> _Number:
        """Read ``array.ctypes.data``: the first field of an array after those of every object."""
        array = self.fixed[ast.unparse(node).removesuffix(".ctypes.data")]
        size = object.__basicsize__
        field = self.result(f"getelementptr inbounds i8, ptr {array.text}, i64 {size}")
        return _Number(self.result(f"load i64, ptr {field}"), "int64")

    def visit_Name(self, node: ast.Name) -> _Number:
        if node.id not in self.variables:
            return self.fixed[node.id]
        kind = self.variables[node.id]
        return _Number(self.result(f"load {KINDS[kind]}, ptr %{node.id}.{kind}"), kind)

    def visit_BinOp(self, node: ast.BinOp) -> _Number:
        left, right = self.numbers([node.left, node.right])
        operation = _ARITHMETIC[type(node.op)]
        if left.kind == "bool":
            operation = _OF_BOOLEANS[type(node.op)]
        elif left.is_floating:
            operation = f"f{operation} {self.flags}"
        return _Number(self.result(f"{operation} {left}, {right.text}"), left.kind)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> _Number:
        number = self.number(node.operand)
        zero = f"sub {KINDS[number.kind]} 0, {number.text}"
        return _Number(self.result(f"fneg {number}" if number.is_floating else zero), number.kind)

    def visit_Compare(self, node: ast.Compare) -> _Number:
        left, right = self.numbers([node.left, *node.comparators])
        floating, integer = _COMPARISONS[type(node.ops[0])]
        sign = "" if integer in ("eq", "ne") else "s" if left.is_signed else "u"
        operation = f"fcmp {floating}" if left.is_floating else f"icmp {sign}{integer}"
        return _Number(self.result(f"{operation} {left}, {right.text}"), "bool")

    def visit_BoolOp(self, node: ast.BoolOp) -> _Number:
        operation = "or" if isinstance(node.op, ast.Or) else "and"
        found, *others = map(self.truth, node.values)
        for one in others:
            found = self.result(f"{operation} i1 {found}, {one}")
        return _Number(found, "bool")

    def visit_IfExp(self, node: ast.IfExp) -> _Number:
        holds = self.truth(node.test)
        one, other = self.numbers([node.body, node.orelse])
        return _Number(self.result(f"select i1 {holds}, {one}, {other}"), one.kind)

    def visit_Call(self, node: ast.Call) -> _Number:
        if isinstance(node.func, ast.Attribute):  # x.view(float32)
            seen, kind = self.number(node.func.value), _name(node.args[0])
            return _Number(self.result(f"bitcast {seen} to {KINDS[kind]}"), kind)
        name = _name(node.func)
        if name in _CASTS:
            kind = _CASTS[name]
            return self.converted(self.number(node.args[0], kind), kind)
        if name in self.module.returns:
            given = ", ".join(str(self.number(one)) for one in node.args)
            kind = self.module.returns[name]
            return _Number(self.result(f"call {KINDS[kind]} @{name}({given})"), kind)
        return self.function_of(name, self.numbers(node.args))

    def function_of(self, name: str, numbers: list[_Number]) -> _Number:
        """Call a mathematical function."""
        if name == "abs" and not numbers[0].is_floating:
            return self.absolute(numbers[0])
        kind = numbers[0].kind
        given, attributes = [*map(str, numbers)], ""
        if name in _LIBRARY:
            # C's names of functions of float32 end in an f.
            name += "f" if kind == "float32" else ""
            attributes = "willreturn memory(none)"
        elif name in _INTRINSICS:
            name = f"llvm.{_INTRINSICS[name]}.f{numbers[0].bits}"
        return _Number(self.result(self.module.call(name, KINDS[kind], given, attributes)), kind)

    def absolute(self, number: _Number) -> _Number:
        """Return the absolute value of an integer."""
        if not number.is_signed:
            return number
        size = self.module.call(
            f"llvm.abs.i{number.bits}", KINDS[number.kind], [str(number), "i1 false"]
        )
        return _Number(self.result(size), number.kind)

    def converted(self, number: _Number, kind: str) -> _Number:
        """Convert a number to another type."""
        if number.kind == kind:
            return number
        if kind == "bool":
            compare = "fcmp une" if number.is_floating else "icmp ne"
            return _Number(self.result(f"{compare} {number}, {_literal(0, number.kind)}"), kind)
        operation = _conversion(number, _Number("", kind))
        if not operation:
            return _Number(number.text, kind)
        return _Number(self.result(f"{operation} {number} to {KINDS[kind]}"), kind)


def _conversion(one: _Number, other: _Number) -> str:
    """Return LLVM's name for converting one number to the type of another; empty if none needed."""
    if one.is_floating and other.is_floating:
        return "fpext" if other.bits > one.bits else "fptrunc"
    if one.is_floating:
        return "fptosi" if other.is_signed else "fptoui"
    if other.is_floating:
        return "sitofp" if one.is_signed else "uitofp"
    if other.bits == one.bits:
        return ""
    return "trunc" if other.bits < one.bits else "sext" if one.is_signed else "zext"


def _name(node: Any) -> str:
    return node.id


def _arguments(node: Any) -> Any:
    return node.args


def _adds_up(target: ast.expr, value: ast.expr) -> bool:
    """Return whether an assignment is one step of a sum or a product of many numbers."""
    return isinstance(value, ast.BinOp) and ast.unparse(value.left) == ast.unparse(target)


def _is_literal(node: Any) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_literal(node.operand)
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.Name) and node.id in ("inf", "nan")
    )


def _number(node: Any) -> Any:
    """Return the value of a literal."""
    if isinstance(node, ast.UnaryOp):
        return -_number(node.operand)
    return float(node.id) if isinstance(node, ast.Name) else node.value


def _literal(number: Any, kind: str) -> str:
    """Write a constant in LLVM's language: floats as the bits of a double."""
    if kind.startswith("float"):
        with np.errstate(over="ignore"):
            exact = float(np.dtype(kind).type(number))
        return f"0x{struct.unpack('>Q', struct.pack('>d', exact))[0]:016X}"
    return str(int(bool(number) if kind == "bool" else number))
