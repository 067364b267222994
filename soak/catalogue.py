"""All attacks, in the order of docs/reliability.md: `module:Class`, imported when run."""

from importlib import import_module

from soak.attack import Attack

ATTACKS: list[str] = [
    "soak.killed_training:KilledTraining",
    "soak.killed_training:EndedTraining",
    "soak.interrupted_writes:InterruptedWrites",
    "soak.concurrency:Concurrency",
    "soak.bad_numbers:BadNumbers",
    "soak.out_of_memory:OutOfMemory",
    "soak.exactness:Exactness",
    "soak.hostile_text:HostileText",
    "soak.memory_of_files:MemoryOfFiles",
    "soak.fuzzed_readers:FuzzedReaders",
    "soak.long_life:LongTranslation",
    "soak.long_life:LongTraining",
    "soak.hostile_files:HostileBundles",
    "soak.hostile_files:HostileTokenizers",
    "soak.hostile_files:HostileStores",
    "soak.hostile_files:HostileExports",
    "soak.hostile_files:HostileCheckpoints",
    "soak.hostile_files:HostileConfigs",
]


def attacks() -> dict[str, Attack]:
    """All attacks by name."""
    loaded = [_load(path) for path in ATTACKS]
    return {attack.name: attack for attack in loaded}


def _load(path: str) -> Attack:
    module, name = path.split(":")
    attack = getattr(import_module(module), name)()
    assert isinstance(attack, Attack), path
    return attack
