"""Unnoise's diffusion library: plain PyTorch, no front end.

    from model import NoiseSchedule, q_sample

Each file is one idea, and imports point one way: checks → schedule → forward.
"""

from model.forward import merge_noise, q_posterior, q_sample, q_step
from model.schedule import NoiseSchedule

__all__ = ["NoiseSchedule", "merge_noise", "q_posterior", "q_sample", "q_step"]
