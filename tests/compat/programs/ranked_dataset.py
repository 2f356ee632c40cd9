"""An iterable dataset of a distributed job: the table is divided by ranks, and each rank's part by loader workers."""

import sys

import common_io
import torch


class TableDataset(torch.utils.data.IterableDataset):
    def __init__(self, table, rank, world_size):
        self.table = table
        reader = common_io.table.TableReader(table, slice_id=rank, slice_count=world_size, num_threads=0)
        self.row_count = reader.get_row_count()
        self.start, self.end = reader.start_pos, reader.end_pos
        reader.close()

    def __len__(self):
        return self.row_count

    def part(self, worker, workers):
        size, more = divmod(self.end - self.start, workers)
        start = self.start + worker * size + min(worker, more)
        return start, start + size + (worker < more)

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        start, end = self.part(info.id, info.num_workers) if info else (self.start, self.end)
        reader = common_io.table.TableReader("{}?start={}&end={}".format(self.table, start, end), num_threads=1)
        while True:
            try:
                row = reader.read(num_records=1, allow_smaller_final_batch=True)[0]
            except common_io.exception.OutOfRangeException:
                reader.close()
                return
            yield row[0], row[1]


if __name__ == "__main__":
    table, ranks, workers, start_method = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    seen = []
    for rank in range(ranks):
        dataset = TableDataset(table, rank, ranks)
        loader = torch.utils.data.DataLoader(
            dataset,
            batch_size=7,
            num_workers=workers,
            multiprocessing_context=start_method if workers else None,
        )
        rows = 0
        for ids, names in loader:
            assert ids.dtype == torch.int64 and len(ids) == len(names)
            seen += ids.tolist()
            rows += len(ids)
        assert rows == len(dataset), (rank, rows, len(dataset))
    print(len(seen), sorted(seen) == list(range(len(seen))))
