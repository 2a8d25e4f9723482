"""Preprocess: a CSV of any size becomes clean, typed Parquet, and every record is accounted for.

The way of a file: `sources` and `decoding` give a stream of UTF-8 text; `cutting` cuts it into blocks at ends of records that are
proved; `blocks` judges a block, most of it through polars, the doubtful cells by the contract's own law (`spotline.contracts.cells`);
`job` puts the blocks' outcomes in order and writes shards, rejected rows, the quality report and, last, the manifest.
"""
