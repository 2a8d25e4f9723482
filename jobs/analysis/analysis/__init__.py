"""The analysis job: a gang of processes that trains one model on a run's shards and scores every row.

Each member is a light supervisor (`supervisor`), which watches over its workers and its peers, and one worker a device
(`worker`), which holds the data and the engine. Only workers import XGBoost and pyarrow.
"""
