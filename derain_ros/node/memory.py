"""How the C library keeps the memory of freed images."""

import ctypes

# of mallopt(3)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
# An image is received through several buffers. Up to this size they come from the heap, which is
# glibc's largest possible threshold; larger ones are mapped anew each time.
LARGEST_FROM_HEAP_BYTES = 32 * 2**20
# Freed memory that the heap keeps. Without it the buffers of every 1080p image were given back and
# mapped again: 4,600 page faults and 9 ms of a core for each.
KEPT_BYTES = 128 * 2**20
# With an arena for each thread, memory of engines that were closed is not used again.
ARENAS = 2


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed images for the next ones; elsewhere do nothing."""
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_FROM_HEAP_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_ARENA_MAX, ARENAS)


def return_freed_memory() -> None:
    """Let glibc return what it keeps to the system, after an engine; elsewhere do nothing."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)
