"""Measures of samples: are they recognised, do they spread like real images, are they copies?

A small classifier learns the real images. Its answers say whether a sample shows what was asked
for, and its features compare two sets of images by their Fréchet distance, as the FID does with
an Inception network trained on photographs. Images of 28×28 clothes are no photographs: features
of the data's own classifier suit them better, but the numbers mean something only beside others
of the very same classifier and number of images, never beside an FID.

Images are float (N, C, H, W) in [−1, 1], at least 8×8. Sources: Heusel et al. 2017, "GANs Trained
by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (Fréchet distance); Smith &
Topin 2018, "Super-Convergence" (one-cycle learning rate); Szegedy et al. 2016, "Rethinking the
Inception Architecture" (label smoothing).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.checks import as_integer

FEATURES = 64  # few enough that some hundred images give a sound covariance
EVAL_BATCH = 500
BATCH = 128
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.1
SHIFT = 1  # pixels
MIN_EPOCHS, MIN_UPDATES = 6, 200  # whichever takes longer


# -- the classifier --------------------------------------------------------------------------------


class ReferenceClassifier(nn.Module):
    """A convolutional network from images (B, C, H, W) to logits (B, n_classes).

    Four convolutions with batch normalisation, 0.16 million parameters, any size of at least 8×8.
    Its features are the 64 numbers before the last layer's ReLU.
    """

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(channels, 32, kernel=5, stride=2),
            *_block(32, 48, pool=nn.MaxPool2d(2)),
            *_block(48, 96),
            *_block(96, 96, pool=nn.AdaptiveMaxPool2d(2)),
            nn.Flatten(),
            nn.Linear(4 * 96, FEATURES),
        )
        self.head = nn.Linear(FEATURES, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) → (B, 64)."""
        return self.body(x.contiguous(memory_format=torch.channels_last))  # the CPU's faster order

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.features(x)))


def _block(
    n_in: int, n_out: int, *, kernel: int = 3, stride: int = 1, pool: nn.Module | None = None
) -> list[nn.Module]:
    conv = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)  # the norm has a bias
    return [conv, *([pool] if pool else []), nn.BatchNorm2d(n_out), nn.ReLU()]


def train_classifier(
    images: Tensor,
    labels: Tensor,
    n_classes: int,
    *,
    seed: int = 0,
    epochs: int | None = None,
    flip: bool = False,
) -> ReferenceClassifier:
    """A classifier of images (N, C, H, W) in [−1, 1] by labels (N,), 0 … n_classes − 1.

    AdamW, one-cycle learning rate, label smoothing; every image is shifted by up to a pixel
    and, with `flip`, mirrored half of the time. Without `epochs`: six, or more if images are so
    few that this makes less than 200 updates. The same seed, images and number of threads give
    the same weights. Returns it in evaluation mode, on the images' device.

    Raises ValueError if shapes or labels do not fit, or there are fewer than two images.
    """
    _check_images(images, "images")
    n_classes = as_integer(n_classes, "n_classes")
    labels = _checked_labels(labels, images)
    if len(images) < 2:
        raise ValueError(f"a classifier needs at least two images, got {len(images)}")
    if labels.min() < 0 or labels.max() >= n_classes:
        found = f"{labels.min()} … {labels.max()}"
        raise ValueError(f"labels must lie in 0 … {n_classes - 1}, got {found}")
    batch = min(BATCH, len(images))
    updates = len(images) // batch  # an epoch; the few images left over wait for the next
    if epochs is None:
        epochs = max(MIN_EPOCHS, math.ceil(MIN_UPDATES / updates))
    elif (epochs := as_integer(epochs, "epochs")) < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global one
        torch.manual_seed(seed)
        net = ReferenceClassifier(images.shape[1], n_classes)
    net = net.to(images.device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=epochs * updates, pct_start=0.2
    )
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)[: batch * updates]
        for index in order.to(images.device).view(updates, batch):
            x = _augmented(images[index], flip, generator)
            loss = F.cross_entropy(net(x), labels[index], label_smoothing=LABEL_SMOOTHING)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
    return net.eval()


def _augmented(x: Tensor, flip: bool, generator: torch.Generator) -> Tensor:
    """Each image of x (B, C, H, W) shifted on its own, its border continued, and maybe mirrored."""
    height, width = x.shape[2:]
    offset = torch.randint(2 * SHIFT + 1, (len(x), 2), generator=generator)
    rows = offset[:, :1] + torch.arange(height)
    columns = offset[:, 1:] + torch.arange(width)
    if flip:
        mirrored = torch.rand(len(x), 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    image = torch.arange(len(x))[:, None, None]
    where = [i.to(x.device) for i in (image, rows[:, :, None], columns[:, None, :])]
    padded = F.pad(x, (SHIFT,) * 4, mode="replicate").permute(0, 2, 3, 1)
    return padded[*where].permute(0, 3, 1, 2)


@torch.no_grad()
def features(classifier: ReferenceClassifier, images: Tensor) -> Tensor:
    """The classifier's features of images (N, C, H, W), (N, 64)."""
    _check_images(images, "images")
    classifier.eval()  # never batch statistics: an image's features are its own
    return torch.cat([classifier.features(x) for x in images.split(EVAL_BATCH)])


@torch.no_grad()
def accuracy(classifier: ReferenceClassifier, images: Tensor, labels: Tensor) -> float:
    """The share of images (N, C, H, W) that the classifier calls by their labels (N,), 0 … 1."""
    _check_images(images, "images")
    labels = _checked_labels(labels, images)
    classifier.eval()
    called = torch.cat([classifier(x).argmax(1) for x in images.split(EVAL_BATCH)])
    return (called == labels).cpu().double().mean().item()


# -- comparing two sets ----------------------------------------------------------------------------


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    """The squared Fréchet distance of two Gaussians with the sets' means and covariances.

        d² = |μ_a − μ_b|² + tr( Σ_a + Σ_b − 2 (Σ_a Σ_b)^½ )            Heusel et al. 2017, eq. 6

    features_a (N, D) and features_b (M, D), at least 0 and 0 only for equal moments. Of a finite
    number of samples it comes out too large, the more so the fewer they are, so compare only
    figures of the same N and M.

    Raises ValueError unless both are matrices of finite numbers with the same D, and N, M > D:
    fewer samples span no covariance.
    """
    (mean_a, root_a), (mean_b, root_b) = _moments(features_a), _moments(features_b)
    if len(mean_a) != len(mean_b):
        raise ValueError(f"features must have one dimension, got {len(mean_a)} and {len(mean_b)}")
    # With Σ = RᵀR, Σ_a Σ_b has the eigenvalues of M Mᵀ, M = R_a R_bᵀ: the trace of its root is
    # the sum of M's singular values, and no small eigenvalue loses half its digits to a root.
    overlap = torch.linalg.svdvals(root_a @ root_b.T).sum()
    spread = root_a.square().sum() + root_b.square().sum() - 2 * overlap
    return max(0.0, ((mean_a - mean_b).square().sum() + spread).item())


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) and a triangular R (D, D) with RᵀR = Σ, the unbiased covariance; float64."""
    values = torch.as_tensor(values).detach().to("cpu", torch.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"features must be a matrix (N, D), got shape {tuple(values.shape)}")
    n, dimension = values.shape
    if n <= dimension:
        raise ValueError(f"{dimension} features need more than {dimension} samples, got {n}")
    if not values.isfinite().all():
        raise ValueError("features must be finite")
    mean = values.mean(0)
    _, root = torch.linalg.qr((values - mean) / math.sqrt(n - 1), mode="r")
    return mean, root


@torch.no_grad()
def nearest_distances(images: Tensor, references: Tensor, *, chunk: int = 4096) -> Tensor:
    """How far each of images (N, C, H, W) is from the nearest of references (M, C, H, W), (N,).

    The distance is the root mean square over all pixels and channels, √( |a − b|² / (C·H·W) ): 0
    for a copy, at most 2 for images in [−1, 1]. `chunk` images of either set are compared at
    once; it bounds the memory and changes nothing else.

    Raises ValueError if the shapes do not fit, a set is empty or `chunk` is less than 1.
    """
    _check_images(images, "images")
    _check_images(references, "references")
    if images.shape[1:] != references.shape[1:]:
        raise ValueError(
            "images and references must have one shape, "
            f"got {tuple(images.shape[1:])} and {tuple(references.shape[1:])}"
        )
    if (chunk := as_integer(chunk, "chunk")) < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}")
    flat = references.flatten(1)
    half_squares = flat.square().sum(1) / 2
    distances = []
    for a in images.flatten(1).split(chunk):
        best = a.new_full((len(a),), -math.inf)
        nearest = torch.zeros(len(a), dtype=torch.long, device=a.device)
        for start in range(0, len(flat), chunk):
            # |a − b|² = |a|² − 2 (a·b − |b|²/2): a matrix product finds the nearest …
            b = slice(start, start + chunk)
            score, index = (a @ flat[b].T - half_squares[b]).max(1)
            nearest = torch.where(score > best, index + start, nearest)
            best = torch.maximum(score, best)
        # … and the difference itself gives the distance: of near copies the product cancels.
        distances.append((a - flat[nearest]).square().mean(1).sqrt())
    return torch.cat(distances)


def _check_images(images: Tensor, what: str) -> None:
    if images.ndim != 4 or len(images) == 0 or not images.is_floating_point():
        raise ValueError(
            f"{what} must be floating point, (N, C, H, W) and not empty, "
            f"got {images.dtype} of shape {tuple(images.shape)}"
        )


def _checked_labels(labels: Tensor, images: Tensor) -> Tensor:
    if labels.shape != (len(images),) or labels.is_floating_point():
        raise ValueError(
            f"labels must be one integer for each of {len(images)} images, "
            f"got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    return labels.to(images.device, torch.long)
