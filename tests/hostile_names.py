"""Names that could be given to a tensor, a module or a picture to do harm, and their pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_lab as tg
from tinygrad_lab import nn

HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "</script><script>document.title = 'taken'</script>",
    "</title></svg><img src=x onerror=\"document.title='taken'\">",
    "</style><script>document.title = 'taken'</script>",
    '"><g onload="document.title=1">',
    "' onmouseover='document.title=1",
    "]]>",
    "<![CDATA[",
    "<!-- -->",
    "&amp;&lt;&#60;script&#62;",
    "javascript:document.title=1",
    "two\nlines\r\n\tand a tab",
    "\x00\x07\x1b[31mred\x1b]0;taken\x07",
    "abc\u202etxt.exe\u202c \u2066\u2067\u2069\u200b\ufeff",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    r"\input{/etc/passwd} \write18{touch taken} %$#&_^~{}\\",
    r"\N \G \l \E } ] ; -> { digraph",
    "${x} `touch taken` $(touch taken) %s {0} {title}",
    "../../../etc/passwd",
    "\ud800 alone",
    "a" * 10_000,
    "<" * 10_000,
    "",
    " ",
]


class Net(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name or "layer": nn.Linear(2, 2)})

    def forward(self, x: Any) -> Any:
        for layer in self.layers.values():
            x = layer(x)
        return x


def drawings(name: str) -> list[Any]:
    """Return pictures with a name in all places that have one."""
    x = tg.tensor(np.ones((3, 2), np.float32), name=name, requires_grad=True)
    loss = tg.sum(tg.sin(Net(name.replace(".", ""))(x)) * x)
    loss.name = name
    y = tg.scalar(0.5, name=name)
    product = tg.exp(y * y) * tg.tensor([[1.0, 2.0]], name=name)
    product.name = name
    product.sum().backward()
    return [
        tg.draw(loss),
        tg.draw(loss, level="layers", title=name, width="16:9", theme="auto"),
        tg.draw(product, backward=True),
        tg.draw(product, style="circuit", color="value", title=name),
        tg.draw(product, level="scalars", highlight=y, theme="dark"),
    ]
