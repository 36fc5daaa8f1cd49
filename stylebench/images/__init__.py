"""Pictures: built-in ones and the user's files, by name and at the working size."""

from stylebench.images.builtin import PAINTINGS, PHOTOGRAPHS, Builtin, builtins
from stylebench.images.decode import Picture, Resize, save
from stylebench.images.given import to_tensor
from stylebench.images.names import (
    PREFIX,
    ROLES,
    ImageSource,
    Role,
    check_output,
    digest,
    own_size,
    read,
    resolve,
    unique_names,
)

__all__ = [
    "PAINTINGS",
    "PHOTOGRAPHS",
    "PREFIX",
    "ROLES",
    "Builtin",
    "ImageSource",
    "Picture",
    "Resize",
    "Role",
    "builtins",
    "check_output",
    "digest",
    "own_size",
    "read",
    "resolve",
    "save",
    "to_tensor",
    "unique_names",
]
