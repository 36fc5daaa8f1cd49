"""onnxruntime, which runs networks in ONNX files: what is needed of it, and how it is set up."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from stylebench.errors import InputError, UnavailableError, describe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

MODULES = ("onnx", "onnxscript", "onnxruntime")
"""Of the extra ``stylebench[onnx]``."""


def require(what: str) -> None:
    """Raise UnavailableError where a package of the extra is missing, before it is imported.

    Args:
        what: needs it, in words.
    """
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"{what} needs {' and '.join(missing)}: pip install 'stylebench[onnx]'"
        )


class Session:
    """A network in memory, run on the processor with as many threads as torch takes.

    Args:
        data: of an ONNX file.
        shown: what messages call it.

    Raises:
        InputError: it is no network that onnxruntime can run.
    """

    def __init__(self, data: bytes, shown: str) -> None:
        import torch

        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is raised
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = runtime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has a class for each of its errors
            raise InputError(f"{shown}: expected an ONNX network: {describe(error)}") from None
        self._shown = shown

    def __call__(self, **inputs: "Array") -> "Array":
        """Return the one output for inputs by name."""
        try:
            (found,) = self._session.run(None, inputs)
        except Exception as error:
            raise InputError(f"{self._shown}: {describe(error)}") from None
        return found  # type: ignore[no-any-return]

    def ends(self) -> tuple[list[str], list[str]]:
        """Return the names of the inputs and of the outputs."""
        session = self._session
        return [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]

    def metadata(self) -> dict[str, Any]:
        """Return what the file states of itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)
