"""Reading ``predictions.csv``, from which all statistics follow."""

from pathlib import Path

import pandas as pd

from cxr.errors import InputError

# The columns of predictions.csv.
TEXT = ["path", "set", "patient_coarse", "patient_fine"]
NUMBERS = ["label", "probability", "predicted"]


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check ``predictions.csv``; a run that was not run has one without rows.

    A patient may be in several sets, and an image too, as the official test set overlaps others.

    Raises:
        InputError: it is no CSV table, a column is missing, a cell is empty, a value is out of range, or an image
            stands twice in one set or with two labels or patients.
    """
    try:
        # All as text: a patient's key may look like a number or like a missing value.
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a CSV table ({str(error).strip()}); make the predictions again.") from None
    needed = [*TEXT, *NUMBERS]
    missing = [name for name in needed if name not in rows]
    if missing:
        raise InputError(f"{path}: the column '{missing[0]}' is missing; a predictions.csv has {', '.join(needed)}.")
    rows[NUMBERS] = rows[NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
    patients = ["patient_coarse", "patient_fine"]
    first = rows.groupby("path", sort=False)[["label", *patients]].transform("first")
    whole_class = (rows["predicted"] >= 0) & (rows["predicted"] % 1 == 0)
    faults = {
        "path, set and patients must not be empty": (rows[TEXT].isna() | (rows[TEXT] == "")).any(axis=1),
        "probability must be 0 to 1, label 0 or 1, predicted a class": ~(
            rows["probability"].between(0, 1) & rows["label"].isin([0, 1]) & whole_class
        ),
        "{path} stands twice in one set": rows.duplicated(["path", "set"]),
        "{path} has two labels": rows["label"] != first["label"],
        "{path} has two patients": (rows[patients] != first[patients]).any(axis=1),
    }
    for fault, wrong in faults.items():
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            sentence = fault.format(path=rows["path"].iloc[row])
            raise InputError(f"{path}, line {row + 2}: {sentence}; make the predictions again.")
    return rows.astype({"label": int, "predicted": int})


def read_test_rows(path: Path) -> pd.DataFrame:
    """Return the rows of the test set of a ``predictions.csv``, sorted by path.

    Their order decides which patients a bootstrap draws.

    Raises:
        InputError: as ``read_predictions``, or there are no such rows.
    """
    rows = read_predictions(path)
    test = rows[rows["set"] == "test"].sort_values("path", ignore_index=True)
    if test.empty:
        raise InputError(f"{path} has no rows of the set test; make the predictions again.")
    return test
