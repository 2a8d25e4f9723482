"""What the functions and the jobs of Spotline share: names of things, records, decisions.

Importing this package costs nothing but the standard library; boto3 is imported by the functions that reach AWS.
"""
