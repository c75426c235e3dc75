// The opset of exported files. No libtorch.

/** Version of the operators that files use. Runtimes read it since 2022; it is the first with LayerNormalization. */
export const opset = 17;

/** Why no other. */
export const whyOpset =
  "it is the lowest that has all operators of the model (GridSample came with 16, LayerNormalization with 17), and runtimes of newer ones read it";
