"""What an instance does at its first boot: the boothook of the launch templates, run with stand-ins for the commands that need a disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.template.rules.hosts import read_user_data
from tests.template.system import RESERVED, load

if TYPE_CHECKING:
    from pathlib import Path

PARTS = [
    read_user_data(template.properties["LaunchTemplateData"])
    for template in load(RESERVED).all("AWS::EC2::LaunchTemplate")
]
DISK = "Amazon EC2 NVMe Instance Storage"
VOLUME = "Amazon Elastic Block Store"
REAL = ("bash", "awk", "cp", "mkdir", "mktemp")
WRITES = ("mkfs.xfs", "mdadm", "mount", "umount")


@dataclass
class Host:
    """An instance of stand-ins: each writes down how it was called and exits as `codes` says; None is a
    command that is not installed."""

    folder: Path
    disks: list[str]
    codes: dict[str, int | None] = field(default_factory=dict)

    def boot(self) -> list[str]:
        """Run the boothook; the calls that change a disk, in order, then what it said."""
        script = PARTS[0][0][1].replace("/var/lib/docker", str(self.folder / "docker"))
        commands, log = self.folder / "bin", self.folder / "log"
        commands.mkdir()
        for name in REAL:
            (commands / name).symlink_to(str(shutil.which(name)))
        answers = {"mountpoint": 1, "lsblk": 0, "systemctl": 3, "dnf": 1, **dict.fromkeys(WRITES, 0), **self.codes}
        for name, code in answers.items():
            if code is not None:
                body = self._list_disks() if name == "lsblk" else f'echo "{name} $*" >> {log}'
                (commands / name).write_text(f"#!{shutil.which('bash')}\n{body}\nexit {code}\n")
                (commands / name).chmod(0o755)
        (self.folder / "docker").mkdir()
        done = subprocess.run(
            [str(shutil.which("bash")), "-c", script],
            env={"PATH": str(commands), "TMPDIR": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        calls = log.read_text().splitlines() if log.exists() else []
        return [call for call in calls if call.split()[0] in (*WRITES, "dnf")] + done.stdout.splitlines()

    def _list_disks(self) -> str:
        return "\n".join(f"echo '/dev/nvme{number}n1 {model}'" for number, model in enumerate(self.disks))


def test_every_launch_template_has_the_same_two_parts_in_the_form_that_batch_merges() -> None:
    assert len(PARTS) == 3
    assert all(parts == PARTS[0] for parts in PARTS)
    assert [kind for kind, _ in PARTS[0]] == ["text/cloud-boothook", "text/x-shellscript"]
    assert PARTS[0][0][1].startswith("#cloud-boothook\n#!/bin/bash\n")
    assert PARTS[0][1][1].startswith("#!/bin/bash\n")


@pytest.mark.parametrize("part", PARTS[0], ids=[kind for kind, _ in PARTS[0]])
def test_the_scripts_are_sound(part: tuple[str, str]) -> None:
    subprocess.run(["bash", "-n", "-c", part[1]], check=True, timeout=30, env=os.environ)


def test_user_data_is_within_the_limit_of_ec2() -> None:
    (template, *_) = load(RESERVED).all("AWS::EC2::LaunchTemplate")
    assert len(template.properties["LaunchTemplateData"]["UserData"]) < 16 * 1024 * 4 / 3


def test_an_instance_without_an_instance_store_keeps_its_volume(tmp_path: Path) -> None:
    assert Host(tmp_path, [VOLUME]).boot() == []


def test_one_disk_takes_dockers_data(tmp_path: Path) -> None:
    made, first, moved, second, said = Host(tmp_path, [VOLUME, DISK]).boot()
    assert made == "mkfs.xfs -q -f /dev/nvme1n1"
    assert first.startswith("mount -o noatime /dev/nvme1n1 ")
    assert moved.startswith("umount ")
    assert second == f"mount -o noatime /dev/nvme1n1 {tmp_path}/docker"
    assert said == "spotline: Docker's data is on /dev/nvme1n1"


def test_several_disks_are_striped(tmp_path: Path) -> None:
    calls = Host(tmp_path, [VOLUME, *[DISK] * 8]).boot()
    disks = " ".join(f"/dev/nvme{number}n1" for number in range(1, 9))
    assert calls[0] == f"mdadm --create /dev/md/scratch --run --level=0 --raid-devices=8 {disks}"
    assert calls[1] == "mkfs.xfs -q -f /dev/md/scratch"
    assert calls[-1] == "spotline: Docker's data is on /dev/md/scratch"


@pytest.mark.parametrize("mdadm", [None, 1], ids=["not installed", "fails"])
def test_disks_that_cannot_be_striped_leave_one(tmp_path: Path, mdadm: int | None) -> None:
    calls = Host(tmp_path, [DISK, DISK], {"mdadm": mdadm}).boot()
    assert ("dnf --quiet --assumeyes install mdadm" in calls) == (mdadm is None)
    assert "spotline: cannot stripe 2 disks; /dev/nvme0n1 alone is used" in calls
    assert calls[-1] == "spotline: Docker's data is on /dev/nvme0n1"


@pytest.mark.parametrize("broken", ["mkfs.xfs", "mount"])
def test_a_disk_that_cannot_be_used_leaves_the_root_volume(tmp_path: Path, broken: str) -> None:
    calls = Host(tmp_path, [DISK], {broken: 1}).boot()
    assert calls[-1] == "spotline: cannot use /dev/nvme0n1; Docker's data stays on the root volume"
    assert not any(call.endswith("/docker") for call in calls)


def test_a_running_docker_is_left_alone(tmp_path: Path) -> None:
    assert Host(tmp_path, [DISK], {"systemctl": 0}).boot() == [
        "spotline: Docker runs already; its data stays on the root volume"
    ]


def test_a_second_boot_changes_nothing(tmp_path: Path) -> None:
    assert Host(tmp_path, [DISK], {"mountpoint": 0}).boot() == []
