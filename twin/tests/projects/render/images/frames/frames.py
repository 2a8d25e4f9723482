"""Renders the frame that AWS Batch gives this job by its index in the array."""

import os

import boto3

index = int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])
boto3.client("s3").put_object(Bucket=os.environ["FILMS"], Key=f"frames/{index}", Body=f"frame {index}\n".encode())
