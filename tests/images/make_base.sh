#!/usr/bin/env bash
# Make a base for the images where no registry of images can be reached: Debian with its own Python, from Debian's packages.
#
#   tests/images/make_base.sh [NAME]        # NAME defaults to spotline-base
#   make test-images IMAGES_BASE=spotline-base
#
# Needs root, mmdebstrap and a running Docker. The certificates that this machine trusts go in, so that pip trusts the same.
set -euo pipefail

name=${1:-spotline-base}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mmdebstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv trixie "$work/root.tar" "$mirror"
cp /etc/ssl/certs/ca-certificates.crt "$work/"
# Debian keeps pip away from its own Python; in an image whose only Python it is, that protects nobody.
cat >"$work/Dockerfile" <<'DOCKERFILE'
FROM scratch
ADD root.tar /
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN ln --symbolic python3 /usr/bin/python && rm /usr/lib/python3*/EXTERNALLY-MANAGED
ENV PIP_ROOT_USER_ACTION=ignore
DOCKERFILE
docker build --tag "$name" "$work"
