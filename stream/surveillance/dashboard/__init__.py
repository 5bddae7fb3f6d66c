"""The dashboard: counts, baselines and alerts as pages for epidemiologists, in French and English (docs/dashboard.md)."""
