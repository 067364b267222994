"""Detects weights that a part makes after its constructor: the optimizer and bundles do not include them."""

from torch import nn

from s2s.errors import PluginError

_SAID = 3  # weights that a message names


class WeightsAtStart:
    """The weights at the start of training, to be compared with later ones.

    Args:
        module: the module to train.
    """

    def __init__(self, module: nn.Module) -> None:
        self._weights = dict(module.named_parameters())
        self._modules = dict(module.named_modules())

    def refuse_others(self, module: nn.Module) -> None:
        """Compare by name and identity: a weight that is made anew at each step is never trained either.

        Args:
            module: the same one.

        Raises:
            PluginError: a weight is new.
        """
        new = [name for name, one in module.named_parameters() if one is not self._weights.get(name)]
        if not new:
            return
        kept = {name: one for name, one in module.named_modules() if id(one) == id(self._modules.get(name))}
        made = list(dict.fromkeys(_maker_and_name(name, kept) for name in new))  # once of several layers
        makers = {maker: [name for one, name in made[:_SAID] if one == maker] for maker, _ in made[:_SAID]}
        told = ", ".join(f"{maker} made {', '.join(names)}" for maker, names in makers.items())
        more = f", and {len(made) - _SAID} more" if len(made) > _SAID else ""
        raise PluginError(
            f"{told}{more} in `step` or `forward`, so the optimizer does not know it and never trains it; make it in "
            "__init__. See: s2s plugins check"
        )


def _maker_and_name(name: str, kept: dict[str, nn.Module]) -> tuple[str, str]:
    """The class of the innermost part around a weight that was there at the start, and the weight's name in it."""
    words = name.split(".")
    inner = next(i for i in reversed(range(len(words))) if ".".join(words[:i]) in kept)  # "" is the outermost
    return type(kept[".".join(words[:inner])]).__name__, ".".join(words[inner:])
