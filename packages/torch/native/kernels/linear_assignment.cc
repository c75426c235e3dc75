// compile: -O3 -fno-trapping-math
// rfdetr::linear_sum_assignment: many assignment problems by successive shortest augmenting paths (Jonker and Volgenant
// 1987; the rectangular form of Crouse 2016, "On implementing 2D rectangular assignment algorithms", IEEE TAES 52(4)).
//
// Costs, duals and path lengths are float64. Ties resolve to the same pairs as in SciPy's `linear_sum_assignment`,
// whose order this file follows: rows are assigned in ascending order, columns are scanned from the last to the first,
// and among equally near columns a free one wins.
#include "parallel.h"
#include "scratch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <optional>

namespace rfdetr {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T>
bool is_finite(T value) {
  return std::abs(value) <= std::numeric_limits<T>::max();
}

struct NonFinite {
  int64_t count;
  double replacement;  // max(c) + max|c| + 1 over the finite costs c, in their dtype, at most the largest float32
};

template <class T>
NonFinite find_non_finite(const at::Tensor& costs) {
  const T* const values = costs.const_data_ptr<T>();
  T largest = std::numeric_limits<T>::lowest(), magnitude = 0;
  int64_t bad = 0;
  for (int64_t i = 0; i < costs.numel(); ++i) {
    const bool finite = is_finite(values[i]);
    bad += !finite;
    largest = finite && values[i] > largest ? values[i] : largest;
    magnitude = finite && std::abs(values[i]) > magnitude ? std::abs(values[i]) : magnitude;
  }
  constexpr T cap = std::numeric_limits<float>::max();
  return {bad, bad == costs.numel() ? cap : std::min(T(T(largest + magnitude) + 1), cap)};
}

/// One problem with the shorter side as its rows: the costs as contiguous rows of float64, and what the search needs.
struct Problem {
  int64_t count;  ///< rows: the shorter side
  int64_t width;  ///< columns: the longer side
  double* costs;
  double* row_dual;
  double* column_dual;
  double* distance;
  int32_t* column_of_row;
  int32_t* row_of_column;
  int32_t* predecessor;
  int32_t* open;
  int32_t* visited_rows;

  Problem(ScratchPieces& pieces, int64_t count, int64_t width)
      : count(count),
        width(width),
        costs(pieces.take<double>(count * width)),
        row_dual(pieces.take<double>(count)),
        column_dual(pieces.take<double>(width)),
        distance(pieces.take<double>(width)),
        column_of_row(pieces.take<int32_t>(count)),
        row_of_column(pieces.take<int32_t>(width)),
        predecessor(pieces.take<int32_t>(width)),
        open(pieces.take<int32_t>(width)),
        visited_rows(pieces.take<int32_t>(count)) {}

  /// Copies the costs. `replacement`, if given, stands for those that are not finite.
  /// @returns the place of the first one that is NaN or −infinity, counted with the strides; else −1
  template <class T>
  int64_t load(const T* from, int64_t row_stride, int64_t column_stride, std::optional<T> replacement) {
    for (int64_t row = 0; row < count; ++row)
      for (int64_t column = 0; column < width; ++column) {
        const int64_t place = row * row_stride + column * column_stride;
        const double cost = replacement && !is_finite(from[place]) ? *replacement : from[place];
        if (!(cost > -infinity)) return place;
        costs[row * width + column] = cost;
      }
    std::fill_n(row_dual, count, 0.0);
    std::fill_n(column_dual, width, 0.0);
    std::fill_n(column_of_row, count, -1);
    std::fill_n(row_of_column, width, -1);
    return -1;
  }

  /// Adds row `start` to the matching along the shortest path to a free column, and updates the duals.
  /// @returns whether there is such a path: infinite costs may block every one
  bool augment(int32_t start) {
    for (int64_t k = 0; k < width; ++k) {
      open[k] = static_cast<int32_t>(width - 1 - k);
      distance[k] = infinity;
    }
    int64_t open_count = width;
    int64_t visited = 0;
    double reach = 0;
    int32_t row = start;
    int32_t sink = -1;
    while (sink < 0) {
      visited_rows[visited++] = row;
      const double* const costs_of_row = costs + row * width;
      const double dual = row_dual[row];
      double nearest = infinity;
      int64_t at = -1;
      for (int64_t k = 0; k < open_count; ++k) {
        const int32_t column = open[k];
        const double length = reach + costs_of_row[column] - dual - column_dual[column];
        double best = distance[column];
        if (length < best) {
          predecessor[column] = row;
          distance[column] = best = length;
        }
        if (best < nearest || (best == nearest && row_of_column[column] < 0)) {
          nearest = best;
          at = k;
        }
      }
      if (nearest == infinity) return false;
      reach = nearest;
      const int32_t column = open[at];
      // Closed columns collect behind open_count, so they need no list of their own.
      open[at] = open[--open_count];
      open[open_count] = column;
      if (row_of_column[column] < 0)
        sink = column;
      else
        row = row_of_column[column];
    }

    row_dual[start] += reach;
    for (int64_t k = 1; k < visited; ++k) {
      const int32_t other = visited_rows[k];
      row_dual[other] += reach - distance[column_of_row[other]];
    }
    for (int64_t k = open_count; k < width; ++k) column_dual[open[k]] -= reach - distance[open[k]];

    for (int32_t column = sink;;) {
      const int32_t from = predecessor[column];
      row_of_column[column] = from;
      std::swap(column_of_row[from], column);
      if (from == start) return true;
    }
  }
};

/// What stands in the way of a problem: the flat index of a cost that is NaN or −infinity, or `blocked`.
constexpr int64_t none = -1;
constexpr int64_t blocked = -2;

struct Pairs {
  at::Tensor rows, columns;  // [P, min(rows, columns)]: by row, filled up with −1
  int64_t fault = none, replaced = 0;
};

/// @param costs [P, rows, columns], contiguous
/// @param used the number of columns that each problem has; the rest is padding
template <class T>
void solve_all(const at::Tensor& costs, at::IntArrayRef used, bool replaces, Pairs& pairs) {
  const int64_t rows = costs.size(1), columns = costs.size(2), most = pairs.rows.size(1);
  const T* const from = costs.const_data_ptr<T>();
  int32_t* const to_rows = pairs.rows.mutable_data_ptr<int32_t>();
  int32_t* const to_columns = pairs.columns.mutable_data_ptr<int32_t>();
  std::optional<T> replacement;
  if (replaces) {
    const NonFinite found = find_non_finite<T>(costs);
    pairs.replaced = found.count;
    if (found.count > 0) replacement = static_cast<T>(found.replacement);
  }
  std::atomic<int64_t> fault{none};
  constexpr int64_t costs_per_piece = 10'000;  // some 30 microseconds
  parallel_for(0, costs.size(0), std::max<int64_t>(1, costs_per_piece / (rows * columns)), [&](int64_t p, int64_t end) {
    static thread_local Scratch scratch;
    for (; p < end; ++p) {
      const int64_t own = used.empty() ? columns : used[p];
      const bool transposed = own < rows;
      Problem problem = scratch.lay_out<Problem>(std::min(rows, own), std::max(rows, own));
      const T* const begin = from + p * rows * columns;
      const int64_t bad =
          transposed ? problem.load(begin, 1, columns, replacement) : problem.load(begin, columns, 1, replacement);
      if (bad >= 0) {
        fault = p * rows * columns + bad;
        continue;
      }
      bool solved = true;
      for (int32_t row = 0; solved && row < problem.count; ++row) solved = problem.augment(row);
      if (!solved) {
        fault = blocked;
        continue;
      }
      int64_t pair = p * most;
      for (int32_t row = 0; row < rows; ++row) {
        const int32_t column = transposed ? problem.row_of_column[row] : problem.column_of_row[row];
        if (column < 0) continue;
        to_rows[pair] = row;
        to_columns[pair++] = column;
      }
    }
  });
  pairs.fault = fault;
}

std::tuple<at::Tensor, at::Tensor, int64_t, int64_t> linear_sum_assignment(const at::Tensor& costs,
                                                                           at::IntArrayRef columns, bool replaces) {
  TORCH_CHECK(costs.dim() == 3, "Expected costs of three dimensions but received ", costs.sizes());
  TORCH_CHECK(costs.scalar_type() == at::kFloat || costs.scalar_type() == at::kDouble,
              "Expected costs of float32 or float64 but received ", costs.scalar_type());
  TORCH_CHECK(columns.empty() || static_cast<int64_t>(columns.size()) == costs.size(0), "Expected ", costs.size(0),
              " numbers of columns but received ", columns.size());
  for (const int64_t own : columns)
    TORCH_CHECK(own >= 0 && own <= costs.size(2), "Expected 0 to ", costs.size(2), " columns but received ", own);
  TORCH_CHECK(std::max(costs.size(1), costs.size(2)) <= std::numeric_limits<int32_t>::max(), "The costs are too large");
  const int64_t most = std::min(costs.size(1), costs.size(2));
  Pairs pairs{at::full({costs.size(0), most}, -1, at::kInt), at::full({costs.size(0), most}, -1, at::kInt)};
  if (costs.numel() > 0) {
    const at::Tensor dense = costs.contiguous();
    costs.scalar_type() == at::kDouble ? solve_all<double>(dense, columns, replaces, pairs)
                                       : solve_all<float>(dense, columns, replaces, pairs);
  }
  return {pairs.rows, pairs.columns, pairs.fault, pairs.replaced};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rfdetr, library) {
  // The pairs of each problem by row, filled up with −1. `fault` is −1, or what is wrong: the flat index of a cost that
  // is NaN or −infinity, or −2 where infinite costs block every assignment. With `replace_non_finite`, costs that are
  // NaN or infinite count as max(c) + max|c| + 1 over the finite costs c, at most the largest float32, which it is
  // where no cost is finite; `replaced` is their number.
  library.def(
      "linear_sum_assignment(Tensor costs, int[] columns=[], *, bool replace_non_finite=False)"
      " -> (Tensor rows, Tensor columns, int fault, int replaced)");
  library.impl("linear_sum_assignment", c10::DispatchKey::CPU, TORCH_FN(linear_sum_assignment));
}

}  // namespace rfdetr
