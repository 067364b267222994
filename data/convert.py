"""Public corpora, as they are downloaded, into the files that the recipes read; the standard library is enough.

    python data/convert.py aeslc CHECKOUT_OF_AESLC $S2S_DATA
    python data/convert.py nsmc CHECKOUT_OF_NSMC $S2S_DATA
    python data/convert.py ud-english-ewt CHECKOUT_OF_UD_ENGLISH_EWT $S2S_DATA

`catalogue.yaml` says where they are to be had, under which licence, and what the files hold. For each file its lines
and sha256 are printed, to be compared with what stands there.
"""

import argparse
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

MESSAGE = re.compile(
    r"(?P<body>.*)\n@subject\n(?P<subject>.*?)(?P<annotations>(?:\n@ann\d+\n.*)?)", re.DOTALL
)
NEGATIVE, POSITIVE = range(1, 5), range(9, 11)
NSMC_SIZES = {"train": 60_000, "dev": 5_000, "test": 10_000}
NSMC_FILMS = {0: "dev", 1: "test"}
"""Of ten films one is for the dev split, one for the test split, the others for training."""


def main() -> None:
    """Convert the corpus that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("downloaded", type=Path, help="folder with the corpus as it was downloaded")
    parser.add_argument("data", type=Path, help="folder that S2S_DATA names; a folder is made in it")
    given = parser.parse_args()
    try:
        CORPORA[given.corpus](given.downloaded, given.data)
    except (OSError, ValueError) as error:
        sys.exit(f"{given.corpus}: {error}")


def aeslc(downloaded: Path, data: Path) -> None:
    """One file per message into one line per message, in the order of the files' names."""
    for split in ("train", "dev", "test"):
        folder = downloaded / "enron_subject_line" / split
        paths = sorted(folder.glob("*.subject"), key=lambda path: path.stem)
        if not paths:
            raise FileNotFoundError(f"no file {folder}/*.subject")
        lines = (json.dumps(message(path), ensure_ascii=False) for path in paths)
        write(data / "aeslc" / f"{split}.jsonl.gz", lines)


def message(path: Path) -> dict[str, object]:
    """An e-mail: body, `@subject`, and in dev and test three `@annN`, subjects by other people."""
    found = MESSAGE.fullmatch(path.read_bytes().decode("utf-8"))
    if found is None:
        raise ValueError(f"{path} has no line @subject")
    record: dict[str, object] = {
        "id": path.stem,
        "body": found["body"].strip(),
        "subject": found["subject"].strip(),
    }
    annotations = [text.strip() for text in re.split(r"\n@ann\d+\n", found["annotations"])[1:]]
    return {**record, "annotations": annotations} if annotations else record


def nsmc(downloaded: Path, data: Path, sizes: dict[str, int] = NSMC_SIZES) -> None:
    """Raw pages, one file per film, into `label TAB text`: classes in equal numbers, films of one split each.

    Ratings of 9 and 10 are positive (1), those of 1 to 4 negative (0), as the corpus has them; no text occurs twice.
    What is drawn depends on the numbers of films and reviews alone.
    """
    pages = sorted((downloaded / "raw").glob("*.json"), key=lambda path: drawn(path.stem))
    if not pages:
        raise FileNotFoundError(f"no file {downloaded}/raw/*.json")
    found: dict[tuple[str, int], list[tuple[int, str]]] = {
        (split, label): [] for split in sizes for label in (0, 1)
    }
    seen: set[str] = set()
    for page in pages:
        split = NSMC_FILMS.get(drawn(page.stem) % 10, "train")
        for review in json.loads(page.read_text(encoding="utf-8")):
            rating, text = int(review["rating"]), " ".join(str(review["review"]).split())
            if not text or text in seen or (rating not in NEGATIVE and rating not in POSITIVE):
                continue
            seen.add(text)
            found[split, int(rating in POSITIVE)].append((drawn(review["review_id"]), text))
    for split, size in sizes.items():
        rows = []
        for label in (0, 1):
            reviews = sorted(found[split, label])[: size // 2]
            if len(reviews) < size // 2:
                raise ValueError(
                    f"{split} needs {size // 2:,} reviews of label {label}, there are {len(reviews):,}"
                )
            rows += [(number, f"{label}\t{text}") for number, text in reviews]
        write(data / "nsmc" / f"{split}.tsv.gz", (row for _, row in sorted(rows)))


def drawn(name: str) -> int:
    """A number that is as good as drawn, and the same everywhere."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def ud_english_ewt(downloaded: Path, data: Path) -> None:
    """The three files of a release under shorter names."""
    for split in ("train", "dev", "test"):
        text = (downloaded / f"en_ewt-ud-{split}.conllu").read_bytes().decode("utf-8")
        write(data / "ud_english_ewt" / f"{split}.conllu.gz", text.removesuffix("\n").split("\n"))


def write(path: Path, lines: Iterable[str]) -> None:
    """A gzip file that is the same whenever it is made; says its lines and sha256."""
    text = "".join(f"{line}\n" for line in lines).encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text, mtime=0))
    name = path.name.removesuffix(".gz")
    print(f"{name}: {{lines: {text.count(10)}, sha256: {hashlib.sha256(text).hexdigest()}}}")


CORPORA = {"aeslc": aeslc, "nsmc": nsmc, "ud-english-ewt": ud_english_ewt}

if __name__ == "__main__":
    main()
