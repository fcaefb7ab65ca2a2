"""Which test images are shown with their maps: right and wrong ones, chosen by a rule."""

import pandas as pd

# By label and predicted class.
CASES = {(1, 1): "true positive", (0, 0): "true negative", (0, 1): "false positive", (1, 0): "false negative"}


def choose_cases(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the most and the median confident test image of each case.

    The confidence is the probability of the predicted class. Of n images, from the most confident to the least and
    equals by path, the median one is number n // 2, counted from 0; a single image is chosen once.

    Args:
        predictions: rows of ``predictions.csv``, all of one set.

    Returns:
        Up to two rows for each case, the most confident first, with a column ``case``: ``true positive``, ``true
        negative``, ``false positive`` or ``false negative`` (positive is PNEUMONIA). An image for which a class beyond
        the study's two was predicted belongs to no case.
    """
    pairs = pd.Series(zip(predictions["label"], predictions["predicted"], strict=True), predictions.index)
    confidence = predictions["probability"].where(predictions["predicted"] == 1, 1 - predictions["probability"])
    rows = predictions.assign(case=pairs.map(CASES), confidence=confidence)
    chosen = []
    for case in CASES.values():
        members = rows[rows["case"] == case].sort_values(["confidence", "path"], ascending=[False, True])
        chosen.append(members.iloc[sorted({0, len(members) // 2} if len(members) else ())])
    return pd.concat(chosen).drop(columns="confidence")
