"""Sources of sharded runs: folders, WebDataset tars and Parquet files, on a disk or in an object store."""
