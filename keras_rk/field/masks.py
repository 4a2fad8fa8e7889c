"""Masks of tensors, which f sees at every evaluation."""

from __future__ import annotations

from typing import Any

import keras

from keras_rk.loops.common import is_tensor


def masks_of(values: Any) -> Any:
    """The mask of each tensor in a structure, None for one without; None if there are none."""
    masks = [_mask_of(x) for x in keras.tree.flatten(values)]
    has_any = any(mask is not None for mask in masks)
    return keras.tree.pack_sequence_as(values, masks) if has_any else None


def with_masks(values: Any, masks: Any) -> Any:
    """The tensors of a structure, carrying masks as Keras's own layers put them there.

    Some layers take masks off the tensors that they are given (`MultiHeadAttention`), and what is
    computed from a tensor, or put into its place, carries none.
    """
    return values if masks is None else keras.tree.map_structure(with_mask, values, masks)


def with_mask(x: Any, mask: Any) -> Any:
    """One tensor, carrying a mask if there is one."""
    return x if mask is None else _MASKED(x, mask=mask)


def _mask_of(x: Any) -> Any:
    if not is_tensor(x) or isinstance(x, keras.KerasTensor):
        return None
    found: list[Any] = []
    _MASK_OF(x, keep=found.append)
    return found[0]


class _MaskOf(keras.layers.Layer):
    """Passes on the mask of its input, which no public function of Keras returns."""

    def __init__(self) -> None:
        super().__init__(autocast=False, dtype="float32", name="mask_of")
        self.supports_masking = True

    def call(self, x: Any, mask: Any = None, keep: Any = None) -> Any:
        keep(mask)
        return x


class _Masked(keras.layers.Layer):
    """Returns its input, carrying a mask."""

    def __init__(self) -> None:
        super().__init__(autocast=False, dtype="float32", name="masked")
        self.supports_masking = True

    def call(self, y: Any, mask: Any = None) -> Any:
        return y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask


# One of each for all calls: they hold no state, and torch.compile cannot trace a constructor.
_MASK_OF = _MaskOf()
_MASKED = _Masked()
