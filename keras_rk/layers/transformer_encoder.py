"""RKTransformerEncoder: a transformer's encoder layer as steps of a Runge-Kutta method."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rk.field.copies import layers_inside
from keras_rk.layers.arguments import positive_integer, truth
from keras_rk.layers.hints import check_keywords
from keras_rk.layers.rk_residual import RKResidual
from keras_rk.layers.transformer_fields import EncoderField, FeedForward, SelfAttention, written

# The arguments of RKResidual that an encoder passes on.
METHOD = (
    "order",
    "require",
    "noise",
    "remat",
    "trainable_dt",
    "trainable_tableau",
    "order_penalty",
    "error_estimate",
    "error_weight",
    "jit_compile",
)
# What says how an encoder is made, under these names in KerasHub as well.
ARCHITECTURE = (
    "intermediate_dim",
    "num_heads",
    "dropout",
    "activation",
    "layer_norm_epsilon",
    "kernel_initializer",
    "bias_initializer",
    "normalize_first",
)


@keras.saving.register_keras_serializable(package="keras_rk")
class RKTransformerEncoder(keras.layers.Layer):
    """An encoder layer of a transformer, whose residual connections are Runge-Kutta steps.

    With self-attention A and feed-forward network G, each with dropout at its end, an encoder layer
    is y -> z + G(z), z = y + A(y). "Step" stands for `steps` steps of the method, of size dt, along
    a vector field, as `RKResidual` takes them:

        pre-norm, one field     y_next = step along A(y) + G(y + A(y))
        pre-norm, split         z = step along A from y,  y_next = step along G from z
        post-norm, one field    y_next = norm2(step along z - y + G(z)),  z = norm1(y + A(y))
        post-norm, split        z = norm1(step along A from y),
                                y_next = norm2(step along G from z)

    Pre-norm (`normalize_first`), A and G begin with layer normalization; post-norm, one follows
    each sum, as in the equations. A norm after a step is part of no vector field, so it is not
    evaluated at the stages, and the network follows an ODE only from one norm to the next.

    Under Euler's method with dt = 1 all four are the encoder layer itself, to round-off, with the
    weights and the arguments of `keras_hub.layers.TransformerEncoder`. That one adds inside its
    `call`, as other layers of KerasHub do, so no graph shows its residual connections to
    `keras_rk.convert_residuals`: `RKTransformerEncoder.from_encoder` takes its place.

    Example:

    >>> encoder = RKTransformerEncoder(16, num_heads=2, tableau="rk4", dt="1/2", steps=2)
    >>> model = keras.Sequential([keras.Input((None, 8)), encoder])
    >>> model.predict(np.ones((3, 5, 8)), verbose=0).shape
    (3, 5, 8)

    Args:
        intermediate_dim: the size of the hidden layer of the feed-forward network.
        num_heads: the number of heads of attention; each has the size of y's last axis, divided by
            it.
        tableau, dt, steps: the method, as in `RKResidual`.
        split: whether attention and feed-forward are two steps, one after the other (splitting of
            the vector field), or one.
        dropout: the rate of dropout, of attention scores as well.
        activation: that of the hidden layer.
        layer_norm_epsilon: the epsilon of the layer normalizations.
        kernel_initializer, bias_initializer: those of the dense layers and of attention.
        normalize_first: whether the norms come first (pre-norm) or after each sum (post-norm).
        order, require, noise, remat, trainable_dt, trainable_tableau, order_penalty,
        error_estimate, error_weight, jit_compile: as in `RKResidual`, for each of the steps.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of a Keras layer.

    Call arguments:
        inputs: y, shape `(batch, length, channels)`.
        padding_mask: which places count, shape `(batch, length)`; if None, the mask that y carries.
        attention_mask: which places see which, shape `(batch, length, length)`; both masks are held
            constant over the stages.
        training: whether dropout drops.

    Output shape:
        Same as the input. A mask that y carries goes on.

    Raises:
        keras_rk.TableauError: at construction, for a tableau without the required properties.
        ValueError: at construction, for a bad argument; when built, for fewer channels than heads.

    Reference:
        - B. Li et al., ODE Transformer: An Ordinary Differential Equation-Inspired Model for
          Sequence Generation, arXiv:2203.09176 (2022)
    """

    def __init__(
        self,
        intermediate_dim: int,
        num_heads: int,
        tableau: Any = "rk4",
        dt: Any = 1.0,
        steps: int = 1,
        *,
        split: bool = False,
        dropout: float = 0.0,
        activation: Any = "relu",
        layer_norm_epsilon: float = 1e-5,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        normalize_first: bool = False,
        order: int | None = None,
        require: str = "order",
        noise: str = "per_step",
        remat: str | None = None,
        trainable_dt: bool | str = False,
        trainable_tableau: bool = False,
        order_penalty: tuple[int, float] | None = None,
        error_estimate: bool = False,
        error_weight: float = 0.0,
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        check_keywords(RKTransformerEncoder, kwargs)
        super().__init__(**kwargs)
        self._architecture = {
            "intermediate_dim": positive_integer("intermediate_dim", intermediate_dim),
            "num_heads": positive_integer("num_heads", num_heads),
            "dropout": dropout,
            "activation": keras.activations.get(activation),
            "layer_norm_epsilon": layer_norm_epsilon,
            "kernel_initializer": keras.initializers.get(kernel_initializer),
            "bias_initializer": keras.initializers.get(bias_initializer),
            "normalize_first": truth("normalize_first", normalize_first),
        }
        self.split = truth("split", split)
        method = {name: given[name] for name in METHOD}

        def along(field: type, name: str) -> RKResidual:
            f = field(self._architecture, name=f"{name}_field", dtype=self.dtype_policy)
            name = f"{self.name}_{name}_steps"  # one that occurs once in a model
            return RKResidual(f, tableau, dt, steps, name=name, dtype=self.dtype_policy, **method)

        fields = [("self_attention", SelfAttention), ("feedforward", FeedForward)]
        fields = fields if self.split else [("encoder", EncoderField)]
        self.residuals = [along(field, name) for name, field in fields]
        self.norms: list[keras.layers.Layer] = []
        self.supports_masking = True

    def build(self, inputs_shape: Any) -> None:
        if not self._architecture["normalize_first"]:
            names = ["self_attention", "feedforward"] if self.split else ["feedforward"]
            self.norms = [
                keras.layers.LayerNormalization(
                    epsilon=self._architecture["layer_norm_epsilon"],
                    name=f"{name}_layer_norm",
                    dtype=self.dtype_policy,
                )
                for name in names
            ]
        for layer in (*self.residuals, *self.norms):
            layer.build(inputs_shape)
        self.built = True

    def call(
        self, inputs: Any, padding_mask: Any = None, attention_mask: Any = None, mask: Any = None
    ) -> Any:
        return self.in_layers(inputs, padding_mask, attention_mask, mask)

    def in_layers(
        self, y: Any, padding_mask: Any = None, attention_mask: Any = None, mask: Any = None
    ) -> Any:
        """What the layer computes, by calls of other layers alone."""
        merged = merged_mask(mask if padding_mask is None else padding_mask, attention_mask)
        for place, steps in enumerate(self.residuals):
            sees_mask = merged is not None and not isinstance(steps.layer, FeedForward)
            y = steps(y, merged) if sees_mask else steps(y)
            if self.norms:
                y = self.norms[place](y)
        return y

    def compute_output_shape(self, inputs_shape: Any, *args: Any, **kwargs: Any) -> Any:
        return inputs_shape

    @classmethod
    def from_encoder(
        cls,
        encoder: keras.layers.Layer,
        tableau: Any = "rk4",
        dt: Any = 1.0,
        steps: int = 1,
        **kwargs: Any,
    ) -> RKTransformerEncoder:
        """A layer with the weights of a transformer's encoder layer, which are copied.

        Args:
            encoder: a built `keras_hub.layers.TransformerEncoder`; or any layer whose `get_config`
                has the arguments that say how it is made, with the names and meanings of this
                class (from `intermediate_dim` to `normalize_first`), and which has inside one
                `MultiHeadAttention`, two `LayerNormalization` (that of attention first) and two
                `Dense` layers (the hidden one first).
            tableau, dt, steps: the method, as in `RKResidual`.
            **kwargs: further arguments, `split=True` for instance; name, dtype policy and whether
                it is trained are the encoder's unless they are given.
        """
        theirs = _weighted_parts(_checked(encoder))
        config = encoder.get_config()
        given = {name: config[name] for name in ARCHITECTURE}
        own = {"name": encoder.name, "dtype": encoder.dtype_policy, "trainable": encoder.trainable}
        layer = cls(**{**given, **own, "tableau": tableau, "dt": dt, "steps": steps, **kwargs})
        layer.build((None, None, theirs[1].weights[0].shape[-1]))
        for ours, other in zip(_weighted_parts(layer), theirs, strict=True):
            try:
                ours.set_weights(other.get_weights())
            except ValueError as error:
                raise ValueError(f"{_STRUCTURE} Received: {encoder.name!r}; {error}") from error
        return layer

    def get_config(self) -> dict[str, Any]:
        method = self.residuals[0].get_config()
        names = ("tableau", "dt", "steps", *METHOD)
        return {
            **super().get_config(),
            **written(self._architecture),
            "split": self.split,
            **{name: method[name] for name in names},
        }


def merged_mask(padding_mask: Any, attention_mask: Any) -> Any:
    """Which places see which others, shape `(batch, 1 or length, length)`; None for all."""
    if padding_mask is None and attention_mask is None:
        return None
    masks = [] if attention_mask is None else [ops.cast(attention_mask, "bool")]
    if padding_mask is not None:
        masks.insert(0, ops.expand_dims(ops.cast(padding_mask, "bool"), 1))
    return masks[0] if len(masks) == 1 else ops.logical_and(*masks)


_STRUCTURE = (
    "from_encoder takes a built encoder layer of a transformer, such as "
    "`keras_hub.layers.TransformerEncoder`: its `get_config` has "
    f"{', '.join(ARCHITECTURE)}, and inside are one MultiHeadAttention with heads of the size "
    "channels // num_heads, two LayerNormalization and two Dense layers."
)


def _checked(encoder: Any) -> keras.layers.Layer:
    if not isinstance(encoder, keras.layers.Layer):
        what = f"{encoder!r} (of type {type(encoder).__name__})"
    elif not encoder.built:
        what = f"layer {encoder.name!r}, which is not built: call it first"
    else:
        missing = [name for name in ARCHITECTURE if name not in encoder.get_config()]
        numbers = [len(layers) for layers in _parts_by_class(encoder)]
        if not missing and numbers == [1, 2, 2]:
            return encoder
        lacks = f" without {', '.join(missing)} in its configuration" if missing else ""
        what = (
            f"layer {encoder.name!r} of type {type(encoder).__name__}{lacks}, with {numbers[0]} "
            f"MultiHeadAttention, {numbers[1]} LayerNormalization and {numbers[2]} Dense inside"
        )
    raise ValueError(f"{_STRUCTURE} Received: {what}.")


def _parts_by_class(encoder: keras.layers.Layer) -> list[list[keras.layers.Layer]]:
    kinds = (
        keras.layers.MultiHeadAttention,
        keras.layers.LayerNormalization,
        keras.layers.Dense,
    )
    inside = layers_inside(encoder)
    return [[layer for layer in inside if isinstance(layer, kind)] for kind in kinds]


def _weighted_parts(encoder: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Attention, its norm, that of feed-forward, and the two dense layers."""
    attention, norms, dense = _parts_by_class(encoder)
    return [*attention, *norms, *dense]
