"""Unnoise's diffusion library: plain PyTorch, no front end.

    from model import NoiseSchedule, q_sample                     the forward process
    from model import load_checkpoint, ddim, standard_noise       the reverse process
    from model.train import train                                 training; also a command line

Each file is one idea, and imports point one way: checks → schedule → forward, denoiser → sampler →
train; unet and data know nothing of schedules.
"""

from model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.denoiser import Denoiser, Prediction, guide
from model.forward import merge_noise, q_posterior, q_sample, q_step
from model.sampler import Step, ddim, ddpm, dpm_solver, heun, standard_noise
from model.schedule import NoiseSchedule
from model.unet import UNet, UNetConfig

__all__ = [
    "Checkpoint",
    "Denoiser",
    "NoiseSchedule",
    "Prediction",
    "Step",
    "UNet",
    "UNetConfig",
    "ddim",
    "ddpm",
    "dpm_solver",
    "guide",
    "heun",
    "load_checkpoint",
    "merge_noise",
    "q_posterior",
    "q_sample",
    "q_step",
    "save_checkpoint",
    "standard_noise",
]
