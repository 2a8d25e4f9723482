"""What a customer has ordered, and for how much in all."""

import os

import boto3
from boto3.dynamodb.conditions import Key

table = boto3.resource("dynamodb").Table(os.environ["ORDERS"])


def handler(event, context):
    items = table.query(KeyConditionExpression=Key("customer").eq(event["customer"]))["Items"]
    return {"orders": [item["order"] for item in items], "total": float(sum(item["price"] for item in items))}
