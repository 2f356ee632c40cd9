"""The memory of a large batch is one that the system was asked to make in large pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiopaiio.batch_pool import allocate

MIB = 1 << 20
SMAPS = Path("/proc/self/smaps")


def flags_at(address: int) -> list[str]:
    """What the kernel says of the mapping that ``address`` lies in."""
    inside = False
    for line in SMAPS.read_text().splitlines():
        first, *rest = line.split()
        if "-" in first and not first.endswith(":"):
            start, stop = (int(bound, 16) for bound in first.split("-"))
            inside = start <= address < stop
        elif inside and first == "VmFlags:":
            return rest
    return []


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="no large pages here")
@pytest.mark.parametrize("byte_count", [MIB, 4 * MIB - 100, 9 * MIB + 1])
def test_large_batches_are_in_large_pages(byte_count: int) -> None:
    buffer = allocate(byte_count)
    assert buffer.size == byte_count
    for address in (buffer.address, buffer.address + byte_count // 2, buffer.address + byte_count - 1):
        assert "hg" in flags_at(address)
