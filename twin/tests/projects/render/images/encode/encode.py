"""Joins the frames, in order."""

import os
import sys

import boto3

s3, bucket = boto3.client("s3"), os.environ["FILMS"]
count = int(sys.argv[sys.argv.index("--frames") + 1])
frames = [s3.get_object(Bucket=bucket, Key=f"frames/{index}")["Body"].read() for index in range(count)]
s3.put_object(Bucket=bucket, Key="film", Body=b"".join(frames))
