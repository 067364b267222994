"""All attacks, in the order of docs/reliability.md: `module:Class`, imported when it is run."""

from importlib import import_module

from soak.attack import Attack

ATTACKS: list[str] = [
    "soak.hostile_files:HostileBundles",
    "soak.hostile_files:HostileTokenizers",
    "soak.hostile_files:HostileStores",
    "soak.hostile_files:HostileExports",
    "soak.hostile_files:HostileCheckpoints",
    "soak.hostile_files:HostileConfigs",
]


def attacks() -> dict[str, Attack]:
    """Name to attack."""
    loaded = [_load(path) for path in ATTACKS]
    return {attack.name: attack for attack in loaded}


def _load(path: str) -> Attack:
    module, name = path.split(":")
    attack = getattr(import_module(module), name)()
    assert isinstance(attack, Attack), path
    return attack
