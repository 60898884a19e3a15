"""What threads share: the gradients of leaves, which several sweeps may add to at the same time."""

from __future__ import annotations

import os
from threading import RLock

__all__ = ["collecting_gradients"]

collecting_gradients = RLock()
"""Held while a sweep adds to the ``.grad`` of leaves, which reads a sum and then replaces it.

Re-entrant, because a finalizer may run within, and may itself go backward.
"""

if hasattr(os, "register_at_fork"):
    # A child is forked while no other thread holds the lock: nobody would release it there.
    os.register_at_fork(
        before=collecting_gradients.acquire,
        after_in_parent=collecting_gradients.release,
        after_in_child=collecting_gradients.release,
    )
