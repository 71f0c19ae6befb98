"""Which FP8 schemes SGLang and vLLM read, and on which GPUs: the one place that knows their versions.

Read on 2026-11-26 from the wheels of both: the pin of compressed-tensors from their metadata; the schemes and
compute capabilities from `_get_scheme_from_parts` in their `compressed_tensors.py`, and from `get_min_capability`
and the strategies of `CompressedTensorsW8A8Fp8` and `CompressedTensorsW8A16Fp8`. That these versions of
compressed-tensors read a configuration of ours as it was meant is a test of this plugin. No server was started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wmsforge.steps.machine import Finding, Gpu, Machine

READ_ON = "2026-11-26"
Capability = tuple[int, int]


@dataclass(frozen=True)
class Server:
    """One server at one version."""

    name: str
    version: str
    compressed_tensors: str
    """The version it pins."""
    computes: Mapping[str, Capability]
    """Scheme -> the least compute capability on which it computes in FP8."""
    weight_only: Mapping[str, Capability]
    """Scheme -> the least on which it keeps weights in FP8 and computes in 16 bits (Marlin)."""

    def does(self, scheme: str, capability: Capability) -> str:
        """Return "computes", "weight_only" or "refuses"."""
        if scheme in self.computes and capability >= self.computes[scheme]:
            return "computes"
        return "weight_only" if scheme in self.weight_only and capability >= self.weight_only[scheme] else "refuses"


ADA, AMPERE, TURING = (8, 9), (8, 0), (7, 5)
SERVERS = (
    Server(
        "SGLang",
        "0.5.23",
        "0.18.0",
        computes={"dynamic": ADA, "block": ADA, "static": ADA},
        weight_only={"dynamic": AMPERE, "static": AMPERE},
    ),
    Server(
        "vLLM",
        "0.33.0",
        "0.17.0",
        computes={"dynamic": ADA, "block": ADA, "static": ADA},
        weight_only={"dynamic": TURING, "block": TURING, "static": TURING},
    ),
)


def check_servers(scheme: str, machine: Machine, where: str) -> Iterator[Finding]:
    """Yield which servers read a scheme, and what they do with it on the GPUs that are here.

    Args:
        where: The step in words of `--set`, such as "steps.fp8".
    """
    reading = [server for server in SERVERS if scheme in server.computes]
    named = " and ".join(f"{one.name} {one.version} (compressed-tensors {one.compressed_tensors})" for one in reading)
    refusing = [server.name for server in SERVERS if server not in reading]
    if refusing:
        what = f"scheme {scheme!r} is not read by {' and '.join(refusing)} (looked up on {READ_ON})"
        yield Finding("warning", what, f"Choose another: --set {where}.scheme=dynamic")
    if reading:
        least = "{}.{}".format(*min(server.computes[scheme] for server in reading))
        yield Finding(
            "ok",
            f"scheme {scheme!r} is read by {named}, looked up on {READ_ON}; they compute in FP8 on GPUs of compute "
            f"capability {least} or newer (Ada, Hopper)",
        )
    for gpu in {gpu.name: gpu for gpu in machine.gpus}.values():
        if gpu.capability is not None:
            yield from _on(gpu, gpu.capability, scheme, where)


def _on(gpu: Gpu, capability: Capability, scheme: str, where: str) -> Iterator[Finding]:
    does = {server.name: server.does(scheme, capability) for server in SERVERS}
    which = "{}.{}".format(*capability)
    slow = [name for name, what in does.items() if what == "weight_only"]
    refuses = [name for name, what in does.items() if what == "refuses"]
    if slow:
        yield Finding(
            "warning",
            f"on the {gpu.name} (compute capability {which}) {' and '.join(slow)}: weights in FP8, computed in 16 "
            "bits; half the memory, and not faster",
            "Serve it on a GPU of compute capability 8.9 or newer, or leave fp8 out and serve the merged model.",
        )
    if refuses:
        dynamic = scheme != "dynamic" and any(server.does("dynamic", capability) != "refuses" for server in SERVERS)
        remedy = f"Choose another scheme: --set {where}.scheme=dynamic" if dynamic else "Serve it on a newer GPU."
        yield Finding(
            "warning",
            f"on the {gpu.name} (compute capability {which}) scheme {scheme!r} is not loaded by "
            + " and ".join(refuses),
            remedy,
        )
