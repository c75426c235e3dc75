// Matrix products of float32, and of bfloat16 that becomes float32 on the way, for the instruction set of the file that
// includes this one. A register tile is summed over the whole depth; panels of the right operand are read from the
// cache, in the order in which they lie. One thread sums each element in one order, however the work is spread.
#pragma once
#include "gemm.h"
#include "microkernel.h"
#include "scratch.h"

#include <algorithm>

namespace rfdetr::INSTRUCTION_SET {

namespace {

using gemm::Activation;
using gemm::Cell;
using gemm::Epilogue;
using gemm::Output;
using gemm::Source;

constexpr int64_t right_width = tile_vectors * lanes;
/// Whole tiles, and whole vectors, of which a packed row is copied.
constexpr int64_t left_width = tile_rows * lanes / 2;

// --- packing --------------------------------------------------------------------------------------------------------

/// Calls `body` with the elements of the source, and with whether to round them.
template <class Body>
void with_elements(const Source& source, Body&& body) {
  if (!source.is_f32)
    body.template operator()<false>(static_cast<const Bf16*>(source.data));
  else if (source.rounds)
    body.template operator()<true>(static_cast<const float*>(source.data));
  else
    body.template operator()<false>(static_cast<const float*>(source.data));
}

template <bool rounds, class T>
ALWAYS_INLINE Vector load_values(const T* from) {
  return rounds ? round_to_bf16(load(from)) : load(from);
}
template <bool rounds, class T>
ALWAYS_INLINE Vector load_values(const T* from, int64_t count) {
  return rounds ? round_to_bf16(load_first(from, count)) : load_first(from, count);
}

void pack_transposed(const Source& weight, int64_t columns, int64_t depth, int64_t first, int64_t last, Cell* packed) {
  float* const panels = reinterpret_cast<float*>(packed);
  with_elements(weight, [&]<bool rounds, class T>(const T* from) {
    for (int64_t panel = first; panel < last; ++panel) {
      float* const to = panels + panel * right_width * depth;
      for (int64_t k = 0; k < depth; k += lanes) {
        const int64_t count = std::min<int64_t>(lanes, depth - k);
        for (int64_t c = 0; c < right_width; ++c) {
          const int64_t column = panel * right_width + c;
          float values[lanes];
          store(values, column < columns ? load_values<rounds>(from + column * weight.stride + k, depth - k) : zeros());
          for (int64_t i = 0; i < count; ++i) to[(k + i) * right_width + c] = values[i];
        }
      }
    }
  });
}

/// Copies `width` values of a row; those from `count` on become zeros.
template <int64_t width, bool rounds, class T>
ALWAYS_INLINE void pack_row(const T* from, int64_t count, float* to) {
  if (count >= width)
    for (int64_t c = 0; c < width; c += lanes) store(to + c, load_values<rounds>(from + c));
  else
    for (int64_t c = 0; c < width; c += lanes) store(to + c, load_values<rounds>(from + c, count - c));
}

/// Packs panels first…last of `width` columns. Reads a few cache lines of each row, row after row: too few for the
/// machine to see what comes next, so they are fetched some rows before.
template <int64_t width>
void pack_panels(const Source& matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, float* packed) {
  constexpr int64_t strip = 8, ahead = 8;  // panels that are filled side by side, and rows that are fetched before
  with_elements(matrix, [&]<bool rounds, class T>(const T* from) {
    for (int64_t begin = first; begin < last; begin += strip)
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t panel = begin; panel < std::min(begin + strip, last); ++panel) {
          const int64_t column = panel * width;
          const T* const later = from + (k + ahead) * matrix.stride + column;
          for (int64_t c = 0; c < width; c += 64 / sizeof(T)) __builtin_prefetch(later + c);
          pack_row<width, rounds>(from + k * matrix.stride + column, columns - column,
                                  packed + panel * width * depth + k * width);
        }
  });
}

void pack_right(const Source& matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Cell* packed) {
  pack_panels<right_width>(matrix, columns, depth, first, last, reinterpret_cast<float*>(packed));
}

void pack_left(const Source& matrix, int64_t columns, int64_t depth, int64_t first, int64_t last, Cell* packed,
               float* sums) {
  float* const panels = reinterpret_cast<float*>(packed);
  pack_panels<left_width>(matrix, columns, depth, first, last, panels);
  if (!sums) return;
  for (int64_t panel = first; panel < last; ++panel) {
    float sum[left_width] = {};
    const float* from = panels + panel * left_width * depth;
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t c = 0; c < left_width; ++c) sum[c] += from[k * left_width + c];
    for (int64_t c = 0; c < std::min(left_width, columns - panel * left_width); ++c)
      sums[panel * left_width + c] += sum[c];
  }
}

// --- tiles ----------------------------------------------------------------------------------------------------------

/// Part of the output: its first element, and its size of at most tile_rows × right_width.
struct Tile {
  int64_t row, column, rows, columns;

  int64_t vectors() const { return std::min<int64_t>((columns + lanes - 1) / lanes, tile_vectors); }
};

/// ReLU or GELU of a value as the output keeps it. ReLU of NaN is NaN.
ALWAYS_INLINE Vector activate(Activation activation, Vector value) {
  return activation == Activation::gelu ? gelu(value) : maximum(zeros(), value);
}
ALWAYS_INLINE Vector differentiate(Activation activation, Vector gradient, Vector at) {
  return activation == Activation::gelu ? gradient * gelu_derivative(at) : select(at <= 0.0f, zeros(), gradient);
}

/// Writes the sums, with bias, from the registers; a generic loop over sums in memory costs a tenth of a product. They
/// go to where the epilogue keeps them before an activation. `full`: all columns of the tile are in the output.
template <class T, bool full, int R, int V>
ALWAYS_INLINE void write_tile(Vector (&sums)[R][V], const Output& output, const Tile& tile) {
  const Epilogue& epilogue = output.epilogue;
  const int64_t first = tile.row * output.stride + tile.column;
  const auto count = [&](int v) { return full ? lanes : tile.columns - lanes * v; };
  const auto each = [&](auto&& body) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) body(sums[r][v], r * output.stride + lanes * v, v);
  };
  if (epilogue.bias) {
    Vector bias[V];
    for (int v = 0; v < V; ++v) bias[v] = load_first(epilogue.bias + tile.column + lanes * v, count(v));
    each([&](Vector& sum, int64_t, int v) { sum += bias[v]; });
  }
  if (epilogue.accumulate) {
    const T* const before = static_cast<const T*>(output.data) + first;
    each([&](Vector& sum, int64_t place, int v) { sum += load_first(before + place, count(v)); });
  }
  T* const to = static_cast<T*>(epilogue.pre_activation ? epilogue.pre_activation : output.data) + first;
  each([&](const Vector& sum, int64_t place, int v) { store_first(to + place, count(v), sum); });
}

/// Applies the activation, or its derivative, to what write_tile() wrote: to values as the output keeps them.
template <class T>
void activate_tile(const Output& output, const Tile& tile) {
  const Epilogue& epilogue = output.epilogue;
  for (int64_t r = 0; r < tile.rows; ++r) {
    const int64_t first = (tile.row + r) * output.stride + tile.column;
    T* const to = static_cast<T*>(output.data) + first;
    const T* const from = epilogue.pre_activation ? static_cast<const T*>(epilogue.pre_activation) + first : to;
    for (int64_t c = 0; c < tile.columns; c += lanes) {
      const int64_t count = tile.columns - c;
      const Vector value = load_first(from + c, count);
      const auto at = [&] { return load_first(static_cast<const T*>(epilogue.derivative_at) + first + c, count); };
      store_first(to + c, count,
                  epilogue.activation != Activation::none ? activate(epilogue.activation, value)
                                                          : differentiate(epilogue.derivative_of, value, at()));
    }
  }
}

template <class T, int R, int V>
void multiply_tile(const Left& left, const float* right, int64_t depth, const Output& output, const Tile& tile) {
  Vector sums[R][V] = {};
  multiply_add<R, V>(left, {right, right_width}, depth, sums);
  tile.columns == V* lanes ? write_tile<T, true>(sums, output, tile) : write_tile<T, false>(sums, output, tile);
  if (output.epilogue.activates()) activate_tile<T>(output, tile);
}

/// One tile of the output = left · one panel of the right operand.
void multiply_tile(const Left& left, const float* right, int64_t depth, const Output& output, const Tile& tile) {
  with_constant<tile_vectors>(tile.vectors(), [&]<int V>() {
    with_constant<tile_rows>(tile.rows, [&]<int R>() {
      output.is_bf16 ? multiply_tile<Bf16, R, V>(left, right, depth, output, tile)
                     : multiply_tile<float, R, V>(left, right, depth, output, tile);
    });
  });
}

// --- products -------------------------------------------------------------------------------------------------------

struct RowScratch {
  float* rows;
  RowScratch(ScratchPieces& pieces, int64_t count) : rows(pieces.take<float>(count)) {}
};

/// `count` rows in float32: the source itself, or a copy in `scratch`.
const float* rows_in_f32(const Source& left, int64_t row, int64_t count, int64_t depth, Scratch& scratch) {
  if (left.is_f32) return static_cast<const float*>(left.data) + row * depth;
  const auto [rows] = scratch.lay_out<RowScratch>(count * depth);
  const Bf16* const from = static_cast<const Bf16*>(left.data) + row * depth;
  for (int64_t i = 0; i < count * depth; i += lanes)
    store_first(rows + i, count * depth - i, load_first(from + i, count * depth - i));
  return rows;
}

void multiply_rows(const Source& left, int64_t rows, int64_t columns, int64_t depth, const Cell* right,
                   const Output& output) {
  static thread_local Scratch scratch;
  // These rows stay in L2 while all panels pass.
  constexpr int64_t most = 8 * tile_rows, floats = 40 << 10;
  const int64_t block = std::clamp(floats / depth / tile_rows * tile_rows, tile_rows, most);
  const float* const panels = reinterpret_cast<const float*>(right);
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t end = std::min(begin + block, rows);
    const float* const from = rows_in_f32(left, begin, end - begin, depth, scratch);
    for (int64_t n = 0; n < columns; n += right_width)
      for (int64_t m = begin; m < end; m += tile_rows) {
        const Tile tile{m, n, std::min(tile_rows, end - m), std::min(right_width, columns - n)};
        multiply_tile({from + (m - begin) * depth, depth, 1}, panels + n * depth, depth, output, tile);
      }
  }
}

void multiply_packed(const Cell* left, int64_t rows, const Cell* right, int64_t columns, int64_t depth,
                     const Output& output) {
  const auto *const left_panels = reinterpret_cast<const float*>(left), *const right_panels =
                                                                            reinterpret_cast<const float*>(right);
  for (int64_t n = 0; n < columns; n += right_width)
    for (int64_t m = 0; m < rows; m += tile_rows) {
      const Tile tile{m, n, std::min(tile_rows, rows - m), std::min(right_width, columns - n)};
      const float* const first = left_panels + m / left_width * left_width * depth + m % left_width;
      multiply_tile({first, 1, left_width}, right_panels + n * depth, depth, output, tile);
    }
}

// --- activations ----------------------------------------------------------------------------------------------------

template <class T>
void gelu_of(const T* from, int64_t count, T* to) {
  for (int64_t i = 0; i < count; i += lanes) store_first(to + i, count - i, gelu(load_first(from + i, count - i)));
}

template <class T>
void gelu_gradient(const T* of, const T* at, int64_t count, T* to) {
  for (int64_t i = 0; i < count; i += lanes)
    store_first(to + i, count - i, load_first(of + i, count - i) * gelu_derivative(load_first(at + i, count - i)));
}

void gelu_values(bool is_bf16, const void* input, int64_t count, void* result) {
  is_bf16 ? gelu_of(static_cast<const Bf16*>(input), count, static_cast<Bf16*>(result))
          : gelu_of(static_cast<const float*>(input), count, static_cast<float*>(result));
}

void gelu_backward(bool is_bf16, const void* of, const void* at, int64_t count, void* to) {
  is_bf16 ? gelu_gradient(static_cast<const Bf16*>(of), static_cast<const Bf16*>(at), count, static_cast<Bf16*>(to))
          : gelu_gradient(static_cast<const float*>(of), static_cast<const float*>(at), count, static_cast<float*>(to));
}

}  // namespace

inline constexpr gemm::Kernels f32_kernels(const char* name) {
  return {name,      right_width,   left_width,      1,           pack_transposed, pack_right,
          pack_left, multiply_rows, multiply_packed, gelu_values, gelu_backward};
}

}  // namespace rfdetr::INSTRUCTION_SET
