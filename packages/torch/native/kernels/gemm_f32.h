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

void pack_transposed(const Source& weight, int64_t columns, int64_t depth, int64_t, int64_t first, int64_t last,
                     Cell* packed) {
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
  constexpr int64_t strip = 16, ahead = 8;  // panels that are filled side by side, and rows that are fetched before
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

void pack_right(const Source& matrix, int64_t columns, int64_t depth, int64_t, int64_t first, int64_t last,
                Cell* packed) {
  pack_panels<right_width>(matrix, columns, depth, first, last, reinterpret_cast<float*>(packed));
}

void pack_left(const Source& matrix, int64_t columns, int64_t depth, int64_t, int64_t first, int64_t last, Cell* packed,
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
};

/// ReLU or GELU of a value as the output keeps it. ReLU of NaN is NaN.
ALWAYS_INLINE Vector activate(Activation activation, Vector value) {
  return activation == Activation::gelu ? gelu(value) : maximum(zeros(), value);
}
ALWAYS_INLINE Vector differentiate(Activation activation, Vector gradient, Vector at) {
  return activation == Activation::gelu ? gradient * gelu_derivative(at) : select(at <= 0.0f, zeros(), gradient);
}

/// A value as an output of type T keeps it.
template <class T>
ALWAYS_INLINE Vector as_kept(Vector value) {
  return sizeof(T) == sizeof(float) ? value : round_to_bf16(value);
}

/// Fetches the lines of memory that the epilogue reads and writes: each row of a tile lies in another place. Stores
/// that wait for lines which nothing else fetches cost a tenth of a product.
template <class T, int R>
ALWAYS_INLINE void prefetch_tile(const Output& output, const Tile& tile) {
  const int64_t first = tile.row * output.stride + tile.column;
  const void* const places[3] = {output.data, output.epilogue.pre_activation, output.epilogue.derivative_at};
  for (const void* const place : places)
    if (place)
      for (int r = 0; r < R; ++r)
        for (int64_t c = 0; c < tile.columns; c += 64 / sizeof(T))
          __builtin_prefetch(static_cast<const T*>(place) + first + r * output.stride + c);
}

/// Writes the sums of a whole tile from the registers: a loop over sums in memory costs a tenth of a product.
template <class T, int R, int V>
ALWAYS_INLINE void write_whole_tile(Vector (&sums)[R][V], const Output& output, const Tile& tile) {
  const Epilogue& epilogue = output.epilogue;
  const int64_t first = tile.row * output.stride + tile.column;
  const auto each = [&](auto&& body) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) body(sums[r][v], first + r * output.stride + lanes * v, tile.column + lanes * v);
  };
  const auto load_at = [](const void* from, int64_t place) { return load(static_cast<const T*>(from) + place); };
  const auto write = [&](void* to) {
    each([&](const Vector& sum, int64_t place, int64_t) { store(static_cast<T*>(to) + place, sum); });
  };
  if (epilogue.bias) each([&](Vector& sum, int64_t, int64_t column) { sum += load(epilogue.bias + column); });
  if (epilogue.accumulate) each([&](Vector& sum, int64_t place, int64_t) { sum += load_at(output.data, place); });
  if (epilogue.pre_activation) write(epilogue.pre_activation);
  if (epilogue.activation == Activation::relu)
    each([](Vector& sum, int64_t, int64_t) { sum = activate(Activation::relu, as_kept<T>(sum)); });
  if (epilogue.derivative_of == Activation::relu)
    each([&](Vector& sum, int64_t place, int64_t) {
      sum = differentiate(Activation::relu, sum, load_at(epilogue.derivative_at, place));
    });
  write(output.data);
}

/// Writes sums [rows × vectors] of any tile, with any epilogue: GELU needs many registers.
template <class T, int V>
[[gnu::noinline]] void write_tile(const Vector* sums, const Output& output, const Tile& tile) {
  const Epilogue& epilogue = output.epilogue;
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t v = 0; v < V; ++v) {
      const int64_t column = tile.column + lanes * v, count = tile.columns - lanes * v;
      const int64_t place = (tile.row + r) * output.stride + column;
      const auto load_at = [&](const void* from) { return load_first(static_cast<const T*>(from) + place, count); };
      const auto store_at = [&](void* to, Vector value) { store_first(static_cast<T*>(to) + place, count, value); };
      Vector value = *sums++;
      if (epilogue.bias) value += load_first(epilogue.bias + column, count);
      if (epilogue.accumulate) value += load_at(output.data);
      if (epilogue.pre_activation) store_at(epilogue.pre_activation, value);
      if (epilogue.activates()) value = as_kept<T>(value);
      if (epilogue.activation != Activation::none) value = activate(epilogue.activation, value);
      if (epilogue.derivative_of != Activation::none)
        value = differentiate(epilogue.derivative_of, value, load_at(epilogue.derivative_at));
      store_at(output.data, value);
    }
}

/// One tile of the output = left · one panel of the right operand.
template <class T, int R, int V>
ALWAYS_INLINE void multiply_tile(const Left& left, const float* right, int64_t depth, const Output& output,
                                 const Tile& tile) {
  Vector sums[R][V] = {};
  prefetch_tile<T, R>(output, tile);
  multiply_add<R, V>(left, {right, right_width}, depth, sums);
  const bool has_gelu =
      output.epilogue.activation == Activation::gelu || output.epilogue.derivative_of == Activation::gelu;
  if (tile.columns == V * lanes && !has_gelu) return write_whole_tile<T>(sums, output, tile);
  Vector values[R * V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) values[r * V + v] = sums[r][v];
  write_tile<T, V>(values, output, tile);
}

/// Rows of the output from row `first` on, and the panels of the right operand that give their columns.
struct Block {
  int64_t first, rows, columns, depth;
  const float* right;
};

/// Multiplies the tiles of a block; `left_of(m)` is the left operand from row m of the block on. A function for each
/// kind of output, into which everything is inlined: the compiler keeps sums in registers only then.
template <class T, class LeftOf>
[[gnu::noinline]] void multiply_tiles(const Block& block, const LeftOf& left_of, const Output& output) {
  for (int64_t n = 0; n < block.columns; n += right_width) {
    const int64_t columns = std::min(right_width, block.columns - n);
    // Half a tile or a whole one: columns past the end are zeros in the panel.
    with_constant<2>(2 * columns <= right_width ? 1 : 2, [&]<int halves>() __attribute__((always_inline)) {
      over_tiles<tile_rows>(block.rows, [&]<int R>(int64_t m) __attribute__((always_inline)) {
        multiply_tile<T, R, halves * tile_vectors / 2>(left_of(m), block.right + n * block.depth, block.depth, output,
                                                       {block.first + m, n, R, columns});
      });
    });
  }
}

// --- products -------------------------------------------------------------------------------------------------------

/// `count` rows in float32: the source itself, or a copy in `scratch`.
const float* rows_in_f32(const Source& left, int64_t row, int64_t count, int64_t depth, Scratch& scratch) {
  if (left.is_f32) return static_cast<const float*>(left.data) + row * depth;
  float* const rows = scratch.elements<float>(count * depth);
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
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t end = std::min(begin + block, rows);
    const float* const from = rows_in_f32(left, begin, end - begin, depth, scratch);
    const Block part{begin, end - begin, columns, depth, reinterpret_cast<const float*>(right)};
    const auto left_of = [&](int64_t m) { return Left{from + m * depth, depth, 1}; };
    output.is_bf16 ? multiply_tiles<Bf16>(part, left_of, output) : multiply_tiles<float>(part, left_of, output);
  }
}

/// The elements of each tile side by side: of a packed panel a tile would read a part of each cache line.
void part_panels(const float* panels, int64_t rows, int64_t depth, float* tiles) {
  for (int64_t panel = 0; panel < rows; panel += left_width)
    for (int64_t k = 0; k < depth; ++k)
#pragma GCC unroll 8
      for (int64_t r = 0; r < left_width; r += tile_rows)
        std::memcpy(tiles + (panel + r) * depth + k * tile_rows, panels + panel * depth + k * left_width + r,
                    tile_rows * sizeof(float));
}

void multiply_packed(const Cell* left, int64_t rows, const Cell* right, int64_t columns, int64_t depth,
                     const Output& output) {
  static thread_local Scratch scratch;
  float* const tiles = scratch.elements<float>((rows + left_width) * depth);
  part_panels(reinterpret_cast<const float*>(left), rows, depth, tiles);
  const auto left_of = [tiles, depth](int64_t m) {
    return Left{tiles + m / tile_rows * tile_rows * depth + m % tile_rows, 1, tile_rows};
  };
  multiply_tiles<float>({0, rows, columns, depth, reinterpret_cast<const float*>(right)}, left_of, output);
}

// --- activations ----------------------------------------------------------------------------------------------------

template <class T>
void gelu_of(const void* from, int64_t count, void* to) {
  for (int64_t i = 0; i < count; i += lanes)
    store_first(static_cast<T*>(to) + i, count - i, gelu(load_first(static_cast<const T*>(from) + i, count - i)));
}

template <class T>
void gelu_gradient(const void* gradient, const void* input, int64_t count, void* to) {
  for (int64_t i = 0; i < count; i += lanes) {
    const auto at = [&](const void* from) { return load_first(static_cast<const T*>(from) + i, count - i); };
    store_first(static_cast<T*>(to) + i, count - i, at(gradient) * gelu_derivative(at(input)));
  }
}

void gelu_values(bool is_bf16, const void* input, int64_t count, void* result) {
  is_bf16 ? gelu_of<Bf16>(input, count, result) : gelu_of<float>(input, count, result);
}

void gelu_backward(bool is_bf16, const void* gradient, const void* input, int64_t count, void* result) {
  is_bf16 ? gelu_gradient<Bf16>(gradient, input, count, result) : gelu_gradient<float>(gradient, input, count, result);
}

}  // namespace

inline constexpr gemm::Kernels f32_kernels(const char* name) {
  return {
      .name = name,
      .right_width = right_width,
      .left_width = left_width,
      .cell_elements = 1,
      .cell_unit = 1,
      .row_unit = tile_rows,
      .pack_transposed = pack_transposed,
      .pack_right = pack_right,
      .pack_left = pack_left,
      .multiply_rows = multiply_rows,
      .multiply_packed = multiply_packed,
      .gelu = gelu_values,
      .gelu_backward = gelu_backward,
  };
}

}  // namespace rfdetr::INSTRUCTION_SET
