// Packed panels, value by value.
#include "families.h"

#include <sys/mman.h>
#include <unistd.h>

namespace kernels {

namespace {

/// A matrix of either dtype whose rows are longer than they are wide. Its last row ends the memory.
struct Matrix {
  int64_t rows, columns, stride;
  bool is_f32, rounds;
  Array<float> floats;
  Array<uint16_t> halves;

  Matrix(int64_t rows, int64_t columns, int64_t gap, bool is_f32, bool rounds)
      : rows(rows),
        columns(columns),
        stride(columns + gap),
        is_f32(is_f32),
        rounds(rounds),
        floats(is_f32 ? size() : 0),
        halves(is_f32 ? 0 : size()) {
    Random random(rows * 7 + columns);
    const float extreme[] = {0.0f, -0.0f, infinity, -infinity, nan, 3.4e38f, 1.00390625f};
    for (int64_t i = 0; i < size(); ++i) {
      const float value = i % 23 == 7 ? extreme[i / 23 % 7] : random.uniform();
      if (is_f32)
        floats[i] = value;
      else
        halves[i] = i % 29 == 3 ? 0x0012 : to_bf16(value);  // the former is denormal
    }
  }
  int64_t size() const { return rows == 0 ? 0 : (rows - 1) * stride + columns; }
  Source source() const {
    return {is_f32 ? static_cast<const void*>(floats.data()) : halves.data(), stride, is_f32, rounds};
  }
  /// The value as it is packed, or where `residual` its rounding error; zero outside of the matrix.
  float packed(int64_t row, int64_t column, bool residual = false) const {
    if (row >= rows || column >= columns) return 0;
    const int64_t i = row * stride + column;
    if (!is_f32) return from_bf16(halves[i]);
    const float rounded = from_bf16(to_bf16(floats[i]));
    return residual ? from_bf16(to_bf16(floats[i] - rounded)) : rounds ? rounded : floats[i];
  }
};

/// Whether two values have the same bits, or are both NaN: a rest such as ∞ − ∞ may have either sign.
void expect_same(float got, float wanted, const std::string& where) {
  uint32_t bits[2];
  std::memcpy(&bits[0], &got, 4);
  std::memcpy(&bits[1], &wanted, 4);
  if (!(std::isnan(got) && std::isnan(wanted))) expect_bits(bits[0], bits[1], where);
}
void expect_half(uint16_t got, float wanted, const std::string& where) { expect_same(from_bf16(got), wanted, where); }

/// One cell of a panel holds one element of the summed axis, or two.
template <class Of>
void expect_cell(const Family& family, Cell cell, int64_t k, Of&& of, const std::string& where) {
  if (family.has_pairs) {
    expect_half(static_cast<uint16_t>(cell), of(2 * k), where);
    expect_half(static_cast<uint16_t>(static_cast<uint32_t>(cell) >> 16), of(2 * k + 1), where);
    return;
  }
  float value;
  std::memcpy(&value, &cell, sizeof(value));
  expect_same(value, of(k), where);
}

/// All cells of panels of `width` columns; of(k, column) is what was packed.
template <class Of>
void expect_panels(const Family& family, const Array<Cell>& packed, int64_t width, int64_t depth, Of&& of,
                   bool transposed = false) {
  const int64_t cells = family.kernels->cells(depth);
  for (int64_t i = 0; i < packed.count(); ++i) {
    int64_t column = i / (cells * width) * width + i % width, k = i / width % cells;
    if (transposed) {  // tiles of 16 columns, in a row of them for each 16 columns
      column = i / (cells * 16) * 16 + i / 16 % 16;
      k = i % (cells * 16) / 256 * 16 + i % 16;
    }
    expect_cell(
        family, packed[i], k, [&](int64_t element) { return of(element, column); },
        text("depth ", depth, ", column ", column, ", cell ", k));
  }
}

const int64_t columns_to_try[] = {1, 7, 15, 16, 17, 48, 63, 64, 65, 130, 200};

struct Kind {
  bool is_f32, rounds;
};
/// Float32 that is kept is for kernels without pairs.
std::vector<Kind> kinds(const Family& family) {
  return family.has_pairs ? std::vector<Kind>{{false, true}, {true, true}}
                          : std::vector<Kind>{{false, false}, {true, true}, {true, false}};
}

const AddForFamilies transposed("pack_transposed", [](const Family& family) {
  const int64_t width = family.kernels->right_width;
  for (const int64_t columns : columns_to_try)
    for (const int64_t depth : {1, 2, 7, 8, 9, 30, 31, 32, 34, 66})
      for (const auto [is_f32, rounds] : kinds(family)) {
        const Matrix weight(columns, depth, 6, is_f32, rounds);
        Array<Cell> packed(family.kernels->packed_size(columns, width, depth), 77);
        for (int64_t panel = 0; panel * width < columns; ++panel)
          family.kernels->pack_transposed(weight.source(), columns, depth, family.kernels->cells(depth), panel,
                                          panel + 1, packed.data());
        expect_panels(family, packed, width, depth,
                      [&](int64_t k, int64_t column) { return weight.packed(column, k); });
      }
});

/// pack_right or pack_left, in two calls.
void by_rows(const Family& family, int64_t columns, int64_t depth, Kind kind, bool left, bool summed) {
  const Matrix matrix(depth, columns, 5, kind.is_f32, kind.rounds);
  const Kernels& kernels = *family.kernels;
  const int64_t width = left ? kernels.left_width : kernels.right_width, panels = (columns + width - 1) / width;
  Array<Cell> packed(kernels.packed_size(columns, width, depth), 77);
  Array<float> sums(summed ? columns : 0, 2);
  const int64_t middle = panels / 2;
  for (const auto& [first, last] : {std::pair{int64_t{0}, middle}, std::pair{middle, panels}}) {
    if (left)
      kernels.pack_left(matrix.source(), columns, depth, kernels.cells(depth), first, last, packed.data(),
                        summed ? sums.data() : nullptr);
    else
      kernels.pack_right(matrix.source(), columns, depth, kernels.cells(depth), first, last, packed.data());
  }
  expect_panels(
      family, packed, width, depth, [&](int64_t k, int64_t column) { return matrix.packed(k, column); },
      left && family.has_tiles);
  for (int64_t column = 0; column < sums.count(); ++column) {
    double sum = 2, size = 2;
    for (int64_t row = 0; row < depth; ++row) {
      sum += matrix.packed(row, column);
      size += std::fabs(matrix.packed(row, column));
    }
    // 3.4e38, twice, is infinite in float32.
    const double wanted = std::fabs(sum) > 3.4028e38 ? std::copysign(infinity, sum) : sum;
    expect_close(sums[column], wanted, std::isfinite(size) ? size * 1e-6 : 0, text("the sum of column ", column));
  }
}

const AddForFamilies right("pack_right", [](const Family& family) {
  for (const int64_t columns : columns_to_try)
    for (const int64_t depth : {1, 2, 3, 17, 40})
      for (const Kind kind : kinds(family)) by_rows(family, columns, depth, kind, false, false);
});

const AddForFamilies left("pack_left", [](const Family& family) {
  for (const int64_t columns : columns_to_try)
    for (const int64_t depth : {1, 2, 3, 17, 40})
      for (const Kind kind : kinds(family))
        for (const bool summed : {false, true}) by_rows(family, columns, depth, kind, true, summed);
});

/// Floats whose last one ends the memory that may be read or written: what touches the next one ends the program.
class GuardedSums {
 public:
  explicit GuardedSums(int64_t count) {
    memory_ = static_cast<char*>(mmap(nullptr, 2 * page_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory_ == MAP_FAILED || mprotect(memory_, page_, PROT_READ | PROT_WRITE) != 0) std::abort();
    first_ = reinterpret_cast<float*>(memory_ + page_) - count;
  }
  GuardedSums(const GuardedSums&) = delete;
  ~GuardedSums() { munmap(memory_, 2 * page_); }
  float* data() { return first_; }

 private:
  const size_t page_ = sysconf(_SC_PAGESIZE);
  char* memory_;
  float* first_;
};

// Threads pack panels side by side, so sums of other panels may change at any time.
const AddForFamilies others("pack_left leaves the sums of other panels alone", [](const Family& family) {
  const Kernels& kernels = *family.kernels;
  const int64_t width = kernels.left_width, columns = 5 * width, depth = 7;
  for (const Kind kind : kinds(family))
    for (int64_t panel = 0; panel < 4; ++panel) {
      const Matrix matrix(depth, columns, 5, kind.is_f32, kind.rounds);
      Array<Cell> packed(kernels.packed_size(columns, width, depth));
      GuardedSums sums((panel + 1) * width);
      kernels.pack_left(matrix.source(), columns, depth, kernels.cells(depth), panel, panel + 1, packed.data(),
                        sums.data());
    }
});

const AddForFamilies split_weight_test("pack_split", [](const Family& family) {
  if (!family.has_pairs) return;
  const int64_t width = family.kernels->right_width;
  for (const int64_t columns : {1, 64, 70})
    for (const int64_t depth : {2, 32, 34}) {
      const Matrix weight(columns, depth, 2, true, true);
      Array<Cell> packed(family.kernels->packed_size(columns, width, 3 * depth), 77);
      for (int64_t panel = 0; panel * width < columns; ++panel)
        pack_split(weight.source(), columns, depth, width, family.kernels->cells(3 * depth), panel, panel + 1,
                   packed.data());
      expect_panels(family, packed, width, 3 * depth, [&](int64_t k, int64_t column) {
        return k < 3 * depth ? weight.packed(column, k % depth, k / depth == 1) : 0;
      });
    }
});

const Add split_rows_test("split_rows", [] {
  for (const int64_t depth : {1, 2, 15, 16, 17, 31, 32, 33, 70})
    for (const int64_t rows : {1, 3}) {
      const Matrix matrix(rows, depth, 0, true, true);
      Array<uint16_t> split(rows * 3 * depth);
      split_rows(matrix.floats.data(), rows, depth, split.data());
      for (int64_t i = 0; i < split.count(); ++i) {
        const int64_t row = i / (3 * depth), part = i / depth % 3, k = i % depth;
        expect_half(split[i], matrix.packed(row, k, part == 2),
                    text("depth ", depth, ", row ", row, ", part ", part, ", element ", k));
      }
    }
});

}  // namespace

}  // namespace kernels
