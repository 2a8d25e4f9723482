"""The host's GPUs, and the network that the gang's collective uses, by what an image holds and a host passes in; folders stand for both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from analysis import engine, hardware
from analysis.conformance import data
from analysis.hardware import Network, find_network, require_efa
from spotline.exits import ExitCode
from spotline.settings import SettingsError
from tests.unit.analysis.gangs import gang

DOCKERFILE = Path(analysis.__file__).parents[1] / "Dockerfile"
LIBFABRIC = "opt/amazon/efa/lib/libfabric.so.1"
PLUGIN = "opt/amazon/ofi-nccl/lib/x86_64-linux-gnu/libnccl-net.so"
DEVICES = tuple(f"dev/infiniband/uverbs{number}" for number in range(4))
IMAGE = {
    "LD_LIBRARY_PATH": "/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu:/opt/amazon/ofi-nccl/lib:/opt/amazon/efa/lib",
    "FI_PROVIDER": "efa",
}


def make_files(root: Path, *files: str) -> Path:
    """A container's root folder with these files."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    return root


def test_a_whole_efa_is_found_and_used_by_gpus(tmp_path: Path) -> None:
    found = find_network(IMAGE, make_files(tmp_path, LIBFABRIC, PLUGIN, *DEVICES))
    assert found == Network(str(tmp_path / LIBFABRIC), str(tmp_path / PLUGIN), 4)
    assert (found.find_provider("cuda:3"), found.find_provider("cpu")) == ("efa", "tcp")


def test_an_image_without_efa_uses_tcp(tmp_path: Path) -> None:
    found = find_network({}, make_files(tmp_path, "usr/lib/libc.so.6"))
    assert found == Network()
    assert found.find_provider("cuda:0") == "tcp"


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ((), "lacks libfabric (libfabric.so.1), NCCL's network plugin aws-ofi-nccl (libnccl-net.so), EFA's devices"),
        ((PLUGIN, *DEVICES), "lacks libfabric (libfabric.so.1)."),
        ((LIBFABRIC, *DEVICES), "lacks NCCL's network plugin aws-ofi-nccl (libnccl-net.so)."),
        ((LIBFABRIC, PLUGIN), "lacks EFA's devices (/dev/infiniband/uverbs*)."),
    ],
)
def test_whatever_is_missing_when_efa_is_asked_for_is_named(
    tmp_path: Path, files: tuple[str, ...], missing: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        require_efa(IMAGE, make_files(tmp_path, *files))
    assert missing in str(refused.value)
    assert "--target efa" in str(refused.value)


def test_nothing_is_asked_of_an_image_where_efa_is_not_asked_for(tmp_path: Path) -> None:
    require_efa({}, tmp_path)
    require_efa({"FI_PROVIDER": "tcp"}, tmp_path)


def test_a_whole_efa_is_accepted(tmp_path: Path) -> None:
    require_efa(IMAGE, make_files(tmp_path, LIBFABRIC, PLUGIN, *DEVICES))


def test_the_loaders_own_configuration_counts(tmp_path: Path) -> None:
    # Given an image whose libraries only the loader's configuration names, as the EFA installer leaves it
    make_files(tmp_path, LIBFABRIC, PLUGIN, *DEVICES)
    folder = tmp_path / "etc/ld.so.conf.d"
    folder.mkdir(parents=True)
    (folder / "000_efa.conf").write_text("# EFA\n/opt/amazon/efa/lib\n")
    (folder / "100_ofinccl.conf").write_text("/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu\n")
    require_efa({"FI_PROVIDER": "efa"}, tmp_path)


@pytest.mark.parametrize("folder", ["opt/amazon/ofi-nccl/lib/x86_64-linux-gnu", "opt/amazon/ofi-nccl/lib"])
def test_the_shipped_image_finds_what_the_efa_installer_leaves(tmp_path: Path, folder: str) -> None:
    # Given the variables of the Dockerfile, and the installer's folders: Debian's for the plugin, or the plain one of older versions
    [path] = re.findall(r"LD_LIBRARY_PATH=([^$\s]+)", DOCKERFILE.read_text())
    found = find_network(
        {"LD_LIBRARY_PATH": path}, make_files(tmp_path, LIBFABRIC, f"{folder}/libnccl-net.so", *DEVICES)
    )
    assert found.missing == ()


def test_the_shipped_image_has_efa_only_where_it_is_asked_for_and_pins_its_installer() -> None:
    text = DOCKERFILE.read_text()
    assert re.findall(r"^FROM (\S+)(?: AS (\S+))?$", text, re.MULTILINE) == [
        ("${BASE}", "plain"),
        ("plain", "efa"),
        ("plain", ""),
    ]
    assert re.search(r"^ARG EFA_VERSION=\d+\.\d+\.\d+$", text, re.MULTILINE)
    assert re.search(r"^ARG EFA_SHA256=[0-9a-f]{64}$", text, re.MULTILINE)
    assert text.index("sha256sum --check") < text.index("./efa_installer.sh")


@pytest.mark.parametrize(
    ("chosen", "file", "found"),
    [
        ("ofi", "libnccl-net-ofi.so", True),
        ("libnccl-net-ofi.so", "libnccl-net-ofi.so", True),
        ("ofi", "libnccl-net.so", False),
        ("none", "libnccl-net.so", False),
        ("", "libnccl-net-ofi.so", False),
        ("", "libnccl-net.so", True),
    ],
)
def test_the_plugin_is_the_one_that_nccl_would_take(tmp_path: Path, chosen: str, file: str, found: bool) -> None:
    environ = {**IMAGE, "NCCL_NET_PLUGIN": chosen}
    plugin = find_network(environ, make_files(tmp_path, f"opt/amazon/ofi-nccl/lib/{file}")).plugin
    assert (plugin is not None) is found


def test_a_link_to_nowhere_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "opt/amazon/efa/lib").mkdir(parents=True)
    (tmp_path / LIBFABRIC).symlink_to("libfabric.so.1.25.0")
    assert find_network(IMAGE, tmp_path).libfabric is None


def test_a_member_that_is_to_use_efa_and_cannot_leaves_with_78() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LD_LIBRARY"))}
    member = {
        "AWS_BATCH_JOB_ID": "job:0",
        "AWS_BATCH_JOB_ARRAY_INDEX": "0",
        "AWS_BATCH_JOB_ARRAY_SIZE": "2",
        "ANALYSIS_INPUT": "nowhere",
        "ANALYSIS_OUTPUT": "nowhere",
        "FI_PROVIDER": "efa",
    }
    done = subprocess.run(
        [sys.executable, "-m", "analysis"],
        env=environ | member,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.BAD_CONFIGURATION
    assert done.stderr.startswith("analysis: FI_PROVIDER=efa asks for EFA, and this container lacks ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("gpus", "cuda", "device"), [(0, True, "cpu"), (0, False, "cpu"), (8, False, "cpu"), (8, True, "cuda:3")]
)
def test_a_worker_takes_a_gpu_only_where_both_container_and_engine_have_one(
    monkeypatch: pytest.MonkeyPatch, gpus: int, cuda: bool, device: str
) -> None:
    monkeypatch.setattr("xgboost.build_info", lambda: {"USE_CUDA": cuda})
    assert engine.choose_device(gpus, 3) == device


def test_gpus_are_the_device_files_that_ecs_passes_in(tmp_path: Path) -> None:
    assert hardware.count_gpus(tmp_path / "missing") == 0
    make_files(tmp_path, "nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "sda1")
    assert hardware.count_gpus(tmp_path) == 2


def test_each_member_logs_once_what_it_computes_on_and_over_which_network(tmp_path: Path) -> None:
    data.write_clean_data(tmp_path / "in", data.build_table(300), data.build_contract(rounds=2, segment=2))
    with gang(tmp_path / "in", tmp_path / "out", workers_per_member="2") as members:
        assert members.codes() == [0, 0], members.lines
    lines = members.of("engine")
    assert sorted(line["member"] for line in lines) == [0, 1]
    if hardware.count_gpus():
        pytest.skip("this machine has GPUs: what the line shows of a CPU cannot be seen here")
    for line in lines:
        assert (line["device"], line["gpus"], line["workers"]) == ("cpu", 0, 2)
        assert (line["collective"], line["provider"]) == ("xgboost", "tcp")
