"""Quasi-Poisson regression with logarithmic link, on statsmodels, started and stopped as R's `glm` does.

R starts from the counts + 0.1 and stops when the deviance changes by less than 1e-8 (|dev| + 0.1); what it then tells
of leverage and errors belongs to the weights of the step before. Near-degenerate baselines move in the third decimal
with these choices, so that they are kept here: figures are R's, not only nearly so.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from stream.surveillance.detection.series import Floats

_STEPS = 25
_RELATIVE, _ABSOLUTE = 1e-8, 1e-9
_LARGEST = 300.0


@dataclass(frozen=True, slots=True)
class Fit:
    """A model fitted.

    Attributes:
        parameters: coefficients on the logarithmic scale.
        means: expected counts of the baseline.
        covariance: of the parameters, for a dispersion of 1.
        leverage: diagonal of the hat matrix.
        pearson: sum of squared Pearson residuals, with the weights.
        residuals: (count - mean) / mean.
        free: degrees of freedom left.
    """

    parameters: Floats
    means: Floats
    covariance: Floats
    leverage: Floats
    pearson: float
    residuals: Floats
    free: int

    @property
    def dispersion(self) -> float:
        """Pearson's estimate of variance by mean, at least 1."""
        return max(1.0, self.pearson / self.free)

    def anscombe(self, counts: Floats) -> Floats:
        """Standardised Anscombe residuals (Farrington et al., JRSS A 159, 1996, section 3.6)."""
        spread = np.sqrt(self.dispersion * np.maximum(1 - self.leverage, 1e-12))
        return np.asarray(1.5 * (counts ** (2 / 3) * self.means ** (-1 / 6) - np.sqrt(self.means)) / spread, float)

    def at(self, row: Floats, dispersion: float) -> tuple[float, float]:
        """Logarithm of the mean at a new row of the design, and its standard error."""
        variance = float(row @ self.covariance @ row) * dispersion
        return float(row @ self.parameters), float(np.sqrt(max(0.0, variance)))


def fit(counts: Floats, design: Floats, offset: Floats, weights: Floats | None = None) -> Fit | None:
    """Fit a model.

    Args:
        counts: of the baseline, no nan.
        design: one row for each count; the first column is the constant.
        offset: added to the logarithm of the mean.
        weights: prior weights; all 1 when None.

    Returns:
        None where it cannot be told: no degree of freedom left, columns that depend on one another, no convergence.
    """
    n, columns = design.shape
    if n <= columns or np.linalg.matrix_rank(design) < columns:
        return None
    weights = np.ones(n) if weights is None else weights
    model, poisson = _statsmodels()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = model(counts, design, family=poisson(), offset=offset, var_weights=weights).fit(
                start_params=_start(counts, design, offset, weights),
                maxiter=_STEPS, tol=_ABSOLUTE, rtol=_RELATIVE, tol_criterion="deviance",
            )  # fmt: skip
            working = np.asarray(found.model.weights, float)
            q, r = np.linalg.qr(design * np.sqrt(working)[:, None])
            inverse = np.linalg.inv(r)
        except (np.linalg.LinAlgError, ValueError, FloatingPointError):
            return None
        means = np.asarray(found.mu, float)
        residuals = (counts - means) / means
        told = Fit(
            np.asarray(found.params, float), means, inverse @ inverse.T, (q**2).sum(axis=1),
            float((working * residuals**2).sum()), residuals, n - columns,
        )  # fmt: skip
    finite = np.isfinite(told.parameters).all() and np.isfinite(told.covariance).all() and np.isfinite(told.pearson)
    return told if found.converged and finite and np.abs(told.parameters[0]) < _LARGEST else None


def outbreaks(residuals: Floats, threshold: float) -> Floats:
    """Weights that keep past outbreaks out of the baseline: s^-2 beyond the threshold, else 1; their sum is n."""
    weights = np.ones(len(residuals))
    high = residuals > threshold
    weights[high] = residuals[high] ** -2.0
    return np.asarray(weights * len(weights) / weights.sum(), float)


def _start(counts: Floats, design: Floats, offset: Floats, weights: Floats) -> Floats:
    """Parameters after the first step from means of counts + 0.1."""
    means = counts + 0.1
    wanted = np.log(means) - offset + (counts - means) / means
    root = np.sqrt(weights * means)
    return np.asarray(np.linalg.lstsq(design * root[:, None], wanted * root, rcond=None)[0], float)


@cache
def _statsmodels() -> tuple[Any, Any]:
    """Loaded on first use: it takes over a second."""
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    return GLM, Poisson
