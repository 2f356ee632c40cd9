"""aiopaiio: asynchronous table I/O for MaxCompute (ODPS)."""
