"""The C heap that trees lie in.

Owns one setting of glibc's malloc, for the whole process. It puts freed pieces of up to 128 bytes, and a node of a tree
has 120, into lists of which the last comes out first, so that after some documents the next tree is made of pieces from
all over the memory. Without these lists neighbours are joined as they are freed, and a tree lies in the order in which
it is walked: documents of some hundred kilobytes take 5 to 6 % less time.
"""

from __future__ import annotations

import ctypes
from functools import cache

__all__ = ["keep_in_order"]

_M_MXFAST = 1  # mallopt(3)


@cache
def keep_in_order() -> bool:
    """Do without the lists, once. False: this C library has no such setting."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MXFAST, 0))
