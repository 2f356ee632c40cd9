"""One upload session written by several workers: who owns which block ids, and how a slice begins and ends.

Slice ``s`` of ``n`` owns a range of block ids. Its rows go to the lower part in ascending order; blocks without rows
at random ids of the upper part say that a writer took the slice, and one at the last id that it closed it. So a
second writer of a slice is seen on any host, and whoever commits sees that every slice is whole. Two that begin in the
same moment choose the same ids, unseen, once in 200 times among 1000 slices and once in 200,000 among 100.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from aiopaiio.errors import CommitError, SliceConflictError, SliceError
from aiopaiio.sessions import UploadedBlock, UploadSession

__all__ = ["BLOCK_IDS", "BlockIds", "SharedUpload"]

BLOCK_IDS = 20_000
"""The service takes block ids 0 to 19,999 in one session."""

MOST_SLICES = 1000

_CLAIMS = 4
_FEWEST_CLAIM_IDS = 50


@dataclass(frozen=True, slots=True)
class BlockIds:
    """The block ids of one slice, ``first <= id <= last``."""

    first: int
    last: int

    @property
    def first_claim(self) -> int:
        """From here on ids are claims; rows go below."""
        width = self.last + 1 - self.first
        return self.last - max(width // 4, min(width // 2, _FEWEST_CLAIM_IDS))

    def choose_claims(self) -> frozenset[int]:
        """Random ids that together say "this slice is being written, by me"."""
        return frozenset(random.sample(range(self.first_claim, self.last), _CLAIMS))

    def own(self, blocks: tuple[UploadedBlock, ...]) -> dict[int, int]:
        """Block id to number of rows, of the blocks within the range."""
        return {block.id: block.row_count for block in blocks if self.first <= block.id <= self.last}


@dataclass(frozen=True, slots=True)
class SharedUpload:
    """An upload session that ``slice_count`` writers share. A value: it pickles; hand it to the workers."""

    session: UploadSession
    slice_count: int

    def __post_init__(self) -> None:
        if not 1 <= self.slice_count <= MOST_SLICES:
            raise SliceError(f"slice_count of a shared upload is 1 to {MOST_SLICES}, not {self.slice_count}")

    def block_ids(self, slice_id: int) -> BlockIds:
        """The block ids that slice ``slice_id`` owns."""
        if not 0 <= slice_id < self.slice_count:
            raise SliceError(f"slice_id must be in [0, slice_count), not {slice_id} of {self.slice_count}")
        width = BLOCK_IDS // self.slice_count
        return BlockIds(slice_id * width, (slice_id + 1) * width - 1)

    def check_unclaimed(
        self, slice_id: int, blocks: tuple[UploadedBlock, ...], claims: frozenset[int] = frozenset()
    ) -> None:
        """Raise :class:`~aiopaiio.errors.SliceConflictError` when anybody else's block is in the slice's range."""
        foreign = self.block_ids(slice_id).own(blocks).keys() - claims
        if foreign:
            raise SliceConflictError(
                f"slice {slice_id} of this shared upload is written, or was written, by another writer; "
                "each slice takes one writer: after a crash make a new shared upload",
                session=self.session.id,
            )

    def check_complete(self, blocks: tuple[UploadedBlock, ...]) -> None:
        """Raise :class:`~aiopaiio.errors.CommitError` unless every slice was opened and closed."""
        present = {block.id for block in blocks}
        unfinished = [s for s in range(self.slice_count) if self.block_ids(s).last not in present]
        if unfinished:
            raise CommitError(
                f"nothing was committed: slices {unfinished} of {self.slice_count} are not closed by their writers",
                session=self.session.id,
            )
