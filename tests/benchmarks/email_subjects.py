"""Subjects of e-mails on the test split of aeslc: the released model, the lead sentence and people, by ROUGE.

Against the original subject, and against those that three people gave each e-mail of validation and test; with the
share of a subject's names and numbers that are right. What counts as a name is a word with a capital that does not
begin a sentence, and what counts as right is that the original subject has it.
"""

import argparse
import re
from collections.abc import Sequence

from corpus import DATA, ROOT

from rnn_hub.data.loading import load_split
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines import pipeline
from rnn_hub.tasks.summarization import SummarizationTask

NUMBER, WORD = re.compile(r"\d[\d.,/:-]*"), re.compile(r"\w[\w'&-]*")


def report(title: str, subjects: Sequence[str], references: Sequence) -> None:
    """One row of the table."""
    values, _ = compute_metrics(SummarizationTask.metrics, subjects, references)
    print(f"| {title} | " + " | ".join(f"{value:.2f}" for value in values.values()) + " |", flush=True)


def names(text: str) -> set[str]:
    """Words with a capital inside a sentence, in lower case."""
    found = set()
    for sentence in re.split(r"[.!?\n]+\s*", text):
        found |= {word.lower() for word in WORD.findall(sentence)[1:] if word[0].isupper()}
    return found


def right(subjects: Sequence[str], originals: Sequence[str], bodies: Sequence[str], kind: str) -> tuple[int, int]:
    """How many names or numbers of the bodies stand in the subjects, and how many of these in the originals too."""
    written = correct = 0
    for subject, original, body in zip(subjects, originals, bodies, strict=True):
        known = set(NUMBER.findall(body)) if kind == "numbers" else names(body)
        pattern = NUMBER if kind == "numbers" else WORD
        mine = {word.lower() for word in pattern.findall(subject)} & known
        written += len(mine)
        correct += len(mine & {word.lower() for word in pattern.findall(original)})
    return written, correct


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(ROOT / "model_cards" / "rnn-summarization-email"))
    given = parser.parse_args()
    rows = load_split(DATA.parent / "aeslc", "test")
    bodies, originals, people = (list(rows[name]) for name in ("email_body", "subject_line", "annotations"))
    summarize = pipeline("summarization", model=given.model)
    model = [record["summary_text"] for record in summarize(bodies, batch_size=64)]
    lead = [body.partition("\n")[0] for body in bodies]
    first = [others[0] for others in people]
    print("| subject | against | ROUGE-1 | ROUGE-2 | ROUGE-L |\n|---|---|---|---|---|")
    for title, subjects in (("this model", model), ("the lead sentence", lead), ("a person", first)):
        report(f"{title} | the original", subjects, originals)
        rest = [others[1:] for others in people]
        report(f"{title} | two people", subjects, rest)
    for kind in ("names", "numbers"):
        written, correct = right(model, originals, bodies, kind)
        print(f"{kind} from the e-mail in the model's subjects: {written}, of which the original has {correct}")


if __name__ == "__main__":
    main()
