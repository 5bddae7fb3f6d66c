"""NVIDIA Triton on one machine, from the nvidia-pytriton wheel, in an environment of its own."""

from __future__ import annotations

import http.client
import re
import shutil
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from stream.embedded.install import Progress, once, silent
from stream.embedded.ports import HOST
from stream.embedded.process import Launch
from stream.embedded.server import Server
from stream.embedded.venv import Environment
from stream.errors import EmbeddedServerError
from stream.settings import Settings

REQUIREMENTS = Path(__file__).with_name("triton-requirements.txt")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (Triton's own place, not a temporary file)
BACKEND = re.compile(r'^\s*(?:backend|platform)\s*:\s*"([^"]+)"', re.MULTILINE)
READY = 200


class TritonServer(Server):
    """A real tritonserver with the Python backend.

    It serves every model of the repository that this backend can run, loaded explicitly at start: a model of another
    backend (a GPU image has more of them) is left out. A model's ``model.py`` begins with
    ``site.addsitedir(os.environ["CAUSA_TRITON_SITE"])``.

    Args:
        settings: its `root` holds the log and `triton.model_repo` the models.
        model_repo: another model repository.
        options: further options of tritonserver.
    """

    name = "Triton"
    main_port = "grpc"
    noise = r"NVML|DCGM|CudaDriverHelper|pinned|CUDA memory|^[|+]"

    def __init__(self, settings: Settings, model_repo: Path | None = None, options: Sequence[str] = ()) -> None:
        super().__init__(settings)
        self._repository = (model_repo or settings.triton.model_repo).expanduser().resolve()
        self._options = tuple(options)
        self._environment = Environment(self.installs / "venv")
        self._memory = f"causa_{zlib.crc32(str(self.folder).encode()):08x}_"

    @property
    def data(self) -> Path:
        """The model repository: Triton keeps nothing else."""
        return self._repository

    @property
    def url(self) -> str:
        """Address for gRPC: ``host:port``.

        Raises:
            EmbeddedServerError: never started in this root.
        """
        return self._address("grpc")

    @property
    def http_url(self) -> str:
        """Address for HTTP; raises as `url` does."""
        return self._address("http")

    @property
    def metrics_url(self) -> str:
        """Prometheus page; raises as `url` does."""
        return f"http://{self._address('metrics')}/metrics"

    def install(self, progress: Progress | None = None) -> None:
        """Builds the environment (about 470 MB)."""
        tell = progress or silent

        def build(_: Path) -> None:
            tell("Triton: installing the server and its environment")
            self._environment.build(REQUIREMENTS)
            stub = self._environment.stub
            beside_library = self._environment.server / "backends" / "python" / stub.name
            shutil.copyfile(stub, beside_library)
            beside_library.chmod(0o755)
            tell("Triton: installed")

        once(self._environment.folder, self._environment.stamp(REQUIREMENTS), build)

    def models(self) -> list[str]:
        """Names of the models that this server can run.

        Raises:
            EmbeddedServerError: there is none.
        """
        backends = {folder.name for folder in (self._environment.server / "backends").iterdir()} | {"ensemble"}
        found = []
        for config in sorted(self._repository.glob("*/config.pbtxt")):
            declared = BACKEND.search(config.read_text(encoding="utf-8"))
            if declared is None or declared[1] in backends:
                found.append(config.parent.name)
        if not found:
            raise EmbeddedServerError(
                f"no model that Triton can run in {self._repository}", hint="set CAUSA_TRITON__MODEL_REPO, or train one"
            )
        return found

    def _port_names(self) -> Iterable[str]:
        return "grpc", "http", "metrics"

    def _prepare(self, ports: dict[str, int]) -> Launch:
        server = self._environment.server
        command = [
            str(server / "bin" / "tritonserver"),
            f"--model-repository={self._repository}",
            f"--backend-directory={server / 'backends'}",
            "--model-control-mode=explicit",
            *(f"--load-model={model}" for model in self.models()),
            "--strict-readiness=true",
            "--exit-timeout-secs=10",
            *(f"--{service}-port={port}" for service, port in ports.items()),
            *(f"--{service}-address={HOST}" for service in ports),
            "--http-thread-count=2",
            f"--backend-config=python,shm-region-prefix-name={self._memory}",
            "--backend-config=python,stub-timeout-seconds=60",
            *self._options,
        ]
        return Launch(tuple(command), env=self._environment.variables(), grace_s=20.0)

    def _end(self) -> None:
        super()._end()
        for leftover in SHARED_MEMORY.glob(self._memory + "*"):  # of a server that was killed
            leftover.unlink(missing_ok=True)

    def _answers(self, ports: dict[str, int]) -> bool:
        connection = http.client.HTTPConnection(HOST, ports["http"], timeout=2.0)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == READY
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
