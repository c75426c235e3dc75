// The products of attention in float32, on matrices of one (batch, head), and the packing of their operands.
#pragma once
#include "microkernel.h"

#include <algorithm>
#include <utility>

namespace rfdetr::INSTRUCTION_SET {

inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// --- products -------------------------------------------------------------------------------------------------------

/// Rows of a tile of so many vectors: enough sums to hide the latency of a multiplication.
constexpr int rows_of_tile(int vectors) { return vectors == tile_vectors ? tile_rows : vectors > 2 ? 8 : 12; }

/// Calls finish.operator()<R>(row, tile) for the tiles of left · right, with `rows` rows and lanes·V columns.
template <int V, class Finish>
ALWAYS_INLINE void for_tiles(int64_t rows, const Left& left, const Right& right, int64_t depth, Finish&& finish) {
  over_tiles<rows_of_tile(V)>(rows, [&]<int R>(int64_t m) __attribute__((always_inline)) {
    Vector tile[R][V];
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) tile[r][v] = zeros();
    multiply_add<R, V>(left.from_row(m), right, depth, tile);
    finish.template operator()<R>(m, tile);
  });
}

/// Calls body.operator()<V>(column) for panels of V vectors of `columns` columns, a multiple of the lanes.
template <class Body>
ALWAYS_INLINE void for_panels(int64_t columns, Body&& body) {
  for (int64_t n = 0; n < columns; n += lanes * tile_vectors)
    with_constant<tile_vectors>((columns - n) / lanes,
                                [&]<int V>() __attribute__((always_inline)) { body.template operator()<V>(n); });
}

/// Row-major float32 sums, set by a product, or increased by it where `add`.
struct Sums {
  float* data;
  int64_t stride;
  bool add;
};

/// A right operand [length × columns] in panels of tile_vectors vectors of columns (the last one may be narrower), each
/// [length][its columns]: a product reads its panel from the first to the last byte.
struct Panels {
  float* data;
  int64_t length;
};

/// sums [rows × columns] = or += left · rows first…last of the panels, for columns that are a multiple of the lanes.
inline void multiply(int64_t rows, int64_t columns, const Left& left, const Panels& panels, int64_t first, int64_t last,
                     const Sums& sums) {
  for_panels(columns, [&]<int V>(int64_t n) {
    const Right right{panels.data + n * panels.length + first * lanes * V, lanes * V};
    for_tiles<V>(rows, left, right, last - first, [&]<int R>(int64_t m, Vector(&tile)[R][V]) {
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) {
          float* const to = sums.data + (m + r) * sums.stride + n + lanes * v;
          store(to, sums.add ? load(to) + tile[r][v] : tile[r][v]);
        }
    });
  });
}

// --- packing --------------------------------------------------------------------------------------------------------

/// Lanes `from(0)`, `from(1)` … of the vectors a and b one behind the other.
template <class From, int... I>
ALWAYS_INLINE Vector shuffle(Vector a, Vector b, From from, std::integer_sequence<int, I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, From{}(I)...);
#else
  return __builtin_shuffle(a, b, Bits{from(I)...});
#endif
}

/// Of each two runs of H lanes the first (or second, where `second`) of a, then that of b.
template <int H, bool second>
struct Exchanged {
  constexpr int operator()(int lane) const {
    return lane % (2 * H) < H ? lane + (second ? H : 0) : lanes + lane - (second ? 0 : H);
  }
};

/// Exchanges blocks of H × H across the diagonals of blocks of 2H × 2H.
template <int H>
ALWAYS_INLINE void exchange_blocks(Vector (&rows)[lanes]) {
  constexpr std::make_integer_sequence<int, lanes> sequence;
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i)
    if ((i & H) == 0) {
      const Vector a = rows[i], b = rows[i + H];
      rows[i] = shuffle(a, b, Exchanged<H, false>{}, sequence);
      rows[i + H] = shuffle(a, b, Exchanged<H, true>{}, sequence);
    }
}

/// Transposes a square of vectors in place.
ALWAYS_INLINE void transpose(Vector (&rows)[lanes]) {
  if constexpr (lanes > 8) exchange_blocks<8>(rows);
  if constexpr (lanes > 4) exchange_blocks<4>(rows);
  exchange_blocks<2>(rows);
  exchange_blocks<1>(rows);
}

/// Packs rows [count × width] to [width][columns]: a column for each row, times `factor`, then zeros up to a multiple
/// of the lanes.
template <class T>
void pack_columns(const T* rows, int64_t stride, int64_t count, int64_t width, float factor, float* packed,
                  int64_t columns) {
  for (int64_t t = 0; t < count; t += lanes)
    for (int64_t k = 0; k < width; k += lanes) {
      const int64_t wide = std::min<int64_t>(lanes, width - k);
      Vector block[lanes];
      for (int r = 0; r < lanes; ++r)
        block[r] = t + r < count ? load_first(rows + (t + r) * stride + k, wide) * factor : zeros();
      transpose(block);
      for (int64_t r = 0; r < wide; ++r) store(packed + (k + r) * columns + t, block[r]);
    }
}

/// Packs rows [count × width] to panels, with zeros up to a multiple of the lanes.
template <class T>
void pack_panels(const T* rows, int64_t stride, int64_t count, int64_t width, const Panels& panels) {
  for_panels(round_up(width, lanes), [&]<int V>(int64_t n) {
    float* const panel = panels.data + n * panels.length;
    for (int64_t t = 0; t < count; ++t)
      for (int v = 0; v < V; ++v) {
        const int64_t column = n + lanes * v;
        store(panel + t * lanes * V + lanes * v, load_first(rows + t * stride + column, width - column));
      }
  });
}

/// Rows of float32 to be read value by value.
struct Rows {
  const float* data;
  int64_t stride;
};

/// Copies rows [count × width] as float32 to `memory`, where each ends with zeros up to a multiple of the lanes.
template <class T>
Rows copy_rows(const T* rows, int64_t stride, int64_t count, int64_t width, float* memory) {
  const int64_t padded = round_up(width, lanes);
  for (int64_t t = 0; t < count; ++t)
    for (int64_t d = 0; d < width; d += lanes)
      store(memory + t * padded + d, load_first(rows + t * stride + d, width - d));
  return {memory, padded};
}

/// The same rows, where they lie if they are float32.
inline Rows as_f32(const float* rows, int64_t stride, int64_t, int64_t, float*) { return {rows, stride}; }
inline Rows as_f32(const Bf16* rows, int64_t stride, int64_t count, int64_t width, float* memory) {
  return copy_rows(rows, stride, count, width, memory);
}

/// Stores `width` values of a float32 row, times `factor`.
template <class T>
void write_row(const float* from, int64_t width, float factor, T* to) {
  for (int64_t d = 0; d < width; d += lanes) store_first(to + d, width - d, load(from + d) * factor);
}

}  // namespace rfdetr::INSTRUCTION_SET
