"""Reads images (base64 text and raw bytes), from a random row on, and begins again when the table is at its end.

``__getitem__`` ignores the index: such loaders hand the reader to a sampler-free training loop.
"""

import base64
import io
import random
import sys

import common_io


class Images(object):
    def __init__(self, table, columns, random_start=True):
        self.reader = common_io.table.TableReader(table, selected_cols=",".join(columns), excluded_cols="")
        self.length = self.reader.get_row_count()
        self.schema = [column[0] for column in self.reader.get_schema()]
        self.encoded = [number for number, column in enumerate(self.reader.get_schema()) if column[1] == "string"]
        self.position = random.Random(3).randint(0, self.length - 1) if random_start else 0
        self.reader.seek(self.position)

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        try:
            row = list(self.reader.read(num_records=1)[0])
        except common_io.exception.OutOfRangeException:
            self.reader.seek(-self.length)
            row = list(self.reader.read(num_records=1)[0])
        for number in self.encoded:
            row[number] = io.BytesIO(base64.b64decode(row[number]))
        return dict(zip(self.schema, row))


if __name__ == "__main__":
    images = Images(sys.argv[1], ["ID", "encoded", "raw"])
    assert images.schema == ["id", "encoded", "raw"]
    seen = []
    for index in range(2 * len(images)):
        image = images[index]
        assert image["encoded"].read() == image["raw"], image["id"]
        seen.append(image["id"])
    print(seen == [(images.position + step) % len(images) for step in range(2 * len(images))], images.position)
