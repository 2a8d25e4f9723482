"""Puts the orders of a file into the table."""

import json
import os
from decimal import Decimal

import boto3

table = boto3.resource("dynamodb").Table(os.environ["ORDERS"])
s3 = boto3.client("s3")


def handler(event, context):
    detail = event["detail"]
    body = s3.get_object(Bucket=detail["bucket"]["name"], Key=detail["object"]["key"])["Body"].read()
    with table.batch_writer() as batch:
        for order in json.loads(body, parse_float=Decimal):
            batch.put_item(Item=order)
