"""The worker and what surrounds its model."""

import pytest

pytest.register_assert_rewrite("worker.behaviour")
