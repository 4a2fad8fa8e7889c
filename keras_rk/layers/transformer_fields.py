"""The vector fields of a transformer's encoder: attention, feed-forward, and both as one."""

from __future__ import annotations

from typing import Any

import keras


def fresh_initializer(initializer: Any) -> Any:
    """Another initializer like this one, which draws other numbers unless it has a seed.

    Those of Keras draw the same numbers at each call.
    """
    initializer = keras.initializers.get(initializer)
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    return type(initializer).from_config(initializer.get_config())


def written(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as Keras saves them."""
    saved = {"activation": keras.activations.serialize(arguments["activation"])}
    for name in ("kernel_initializer", "bias_initializer"):
        saved[name] = keras.initializers.serialize(arguments[name])
    return {**arguments, **saved}


class _Part(keras.layers.Layer):
    """A layer that is made by one above it, with the arguments that it is made from.

    What it computes is in `in_layers`, by calls of other layers alone.
    """

    def __init__(self, arguments: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arguments = dict(arguments)
        self.supports_masking = True

    def part(self, kind: type, name: str, *args: Any, **kwargs: Any) -> keras.layers.Layer:
        """A layer of this one, of the same dtype policy."""
        return kind(*args, name=name, dtype=self.dtype_policy, **kwargs)

    def norm(self, name: str) -> keras.layers.Layer:
        epsilon = self.arguments["layer_norm_epsilon"]
        return self.part(keras.layers.LayerNormalization, name, epsilon=epsilon)

    @property
    def initializers(self) -> dict[str, Any]:
        """Initializers of the kernel and of the bias of one layer."""
        names = ("kernel_initializer", "bias_initializer")
        return {name: fresh_initializer(self.arguments[name]) for name in names}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "arguments": written(self.arguments)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _Part:
        arguments = dict(config["arguments"])
        arguments["activation"] = keras.activations.get(arguments["activation"])
        for name in ("kernel_initializer", "bias_initializer"):
            arguments[name] = keras.initializers.get(arguments[name])
        return cls(**{**config, "arguments": arguments})

    def compute_output_shape(self, input_shape: Any, *args: Any, **kwargs: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="keras_rk")
class SelfAttention(_Part):
    """A(y) = dropout(attention(norm(y))), without the norm in a post-norm encoder."""

    def build(self, input_shape: Any) -> None:
        arguments = self.arguments
        heads, dropout, channels = arguments["num_heads"], arguments["dropout"], input_shape[-1]
        if channels is None or channels < heads:
            raise ValueError(
                "Self-attention needs the size of y's last axis, with at least one channel for "
                f"each head. Received: y of shape {tuple(input_shape)} and num_heads={heads} "
                f"(layer {self.name!r})."
            )
        first = arguments["normalize_first"]
        self.layer_norm = self.norm("self_attention_layer_norm") if first else None
        self.attention = self.part(
            keras.layers.MultiHeadAttention,
            "self_attention_layer",
            heads,
            channels // heads,
            dropout=dropout,
            **self.initializers,
        )
        self.dropout = self.part(keras.layers.Dropout, "self_attention_dropout", dropout)
        if self.layer_norm is not None:
            self.layer_norm.build(input_shape)
        self.attention.build(input_shape, input_shape)
        super().build(input_shape)

    def call(self, y: Any, attention_mask: Any = None) -> Any:
        return self.in_layers(y, attention_mask)

    def in_layers(self, y: Any, attention_mask: Any = None) -> Any:
        x = y if self.layer_norm is None else self.layer_norm(y)
        return self.dropout(self.attention(x, x, attention_mask=attention_mask))


@keras.saving.register_keras_serializable(package="keras_rk")
class FeedForward(_Part):
    """G(y) = dropout(W2 activation(W1 norm(y))), without the norm in a post-norm encoder."""

    def build(self, input_shape: Any) -> None:
        arguments = self.arguments
        first, size = arguments["normalize_first"], arguments["intermediate_dim"]
        self.layer_norm = self.norm("feedforward_layer_norm") if first else None
        self.intermediate = self.part(
            keras.layers.Dense,
            "feedforward_intermediate_dense",
            size,
            activation=arguments["activation"],
            **self.initializers,
        )
        self.output_dense = self.part(
            keras.layers.Dense, "feedforward_output_dense", input_shape[-1], **self.initializers
        )
        self.dropout = self.part(keras.layers.Dropout, "feedforward_dropout", arguments["dropout"])
        if self.layer_norm is not None:
            self.layer_norm.build(input_shape)
        self.intermediate.build(input_shape)
        self.output_dense.build((*input_shape[:-1], size))
        super().build(input_shape)

    def call(self, y: Any) -> Any:
        return self.in_layers(y)

    def in_layers(self, y: Any) -> Any:
        x = y if self.layer_norm is None else self.layer_norm(y)
        return self.dropout(self.output_dense(self.intermediate(x)))


@keras.saving.register_keras_serializable(package="keras_rk")
class EncoderField(_Part):
    """f(y) = A(y) + G(y + A(y)); in a post-norm encoder z - y + G(z) with z = norm(y + A(y))."""

    def build(self, input_shape: Any) -> None:
        self.attention = self.part(SelfAttention, "self_attention", self.arguments)
        self.feedforward = self.part(FeedForward, "feedforward", self.arguments)
        first = self.arguments["normalize_first"]
        self.layer_norm = None if first else self.norm("self_attention_layer_norm")
        for layer in (self.attention, self.feedforward, self.layer_norm):
            if layer is not None:
                layer.build(input_shape)
        super().build(input_shape)

    def call(self, y: Any, attention_mask: Any = None) -> Any:
        return self.in_layers(y, attention_mask)

    def in_layers(self, y: Any, attention_mask: Any = None) -> Any:
        change = self.attention(y, attention_mask)
        if self.layer_norm is None:
            return change + self.feedforward(y + change)
        z = self.layer_norm(y + change)
        return (z - y) + self.feedforward(z)
