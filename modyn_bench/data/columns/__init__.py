"""From an Arrow table with roles for its columns to rows for ingest."""

from modyn_bench.data.columns.inputs import FeatureInputs, ImageInput, Inputs, TextInput
from modyn_bench.data.columns.roles import Roles, note_saved_index, rows_from_table

__all__ = ["FeatureInputs", "ImageInput", "Inputs", "Roles", "TextInput", "note_saved_index", "rows_from_table"]
