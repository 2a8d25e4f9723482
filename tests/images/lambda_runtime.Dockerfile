# What Lambda's image of Python holds, as far as `sam local invoke` needs it: the runtime's client and the SDK. A substitute for
# public.ecr.aws/sam/build-python3.13 and public.ecr.aws/lambda/python:3.13 where no registry of images can be reached.
ARG BASE
FROM ${BASE}
# Lambda's own image is not pinned either, and this one only stands in for it in a test.
# hadolint ignore=DL3013,SC2016
RUN pip install --no-cache-dir awslambdaric boto3 \
    && mkdir -p /var/runtime \
    && printf '#!/bin/sh\nexec python -m awslambdaric "$_HANDLER"\n' > /var/runtime/bootstrap \
    && chmod +x /var/runtime/bootstrap
ENV LAMBDA_TASK_ROOT=/var/task PYTHONPATH=/var/task:/opt/python LANG=C.UTF-8
WORKDIR /var/task
