// The kernels of fused attention against the formula in float64.
#include "kernels/attention.h"
#include "check.h"

namespace kernels {

namespace {

using namespace rfdetr::attention;

inline float element(float value, float) { return value; }
inline uint16_t element(float value, uint16_t) { return to_bf16(value); }
inline double number(float value) { return value; }
inline double number(uint16_t value) { return from_bf16(value); }

/// What no kernel may write over.
template <class T>
constexpr T untouched = T(0x1234);

/// A tensor [batch, length, heads, width] whose rows are `gap` elements longer than its heads.
template <class T>
struct Heads {
  int64_t batch, length, heads, width, row;
  Array<T> values;

  Heads(const Problem& p, int64_t length, int64_t gap)
      : batch(p.batch),
        length(length),
        heads(p.heads),
        width(p.width),
        row(p.heads * p.width + gap),
        values(batch * length * row - gap, untouched<T>) {}
  View<T> view() { return {values.data(), length * row, row, width}; }
  T& at(int64_t b, int64_t i, int64_t h, int64_t d) { return values[(b * length + i) * row + h * width + d]; }
  double get(int64_t b, int64_t i, int64_t h, int64_t d) { return number(at(b, i, h, d)); }
  template <class Of>
  void fill(Of&& of) {
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < length; ++i)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t d = 0; d < width; ++d) at(b, i, h, d) = element(of(), T{});
  }
  /// What lies between the rows is nobody's to write.
  void expect_untouched(const std::string& where) {
    for (int64_t i = 0; i < values.count(); ++i)
      if (i % row >= heads * width)
        expect_close(number(values[i]), number(untouched<T>), 0, where + ", between the rows");
  }
};

/// All operands and results of one call.
template <class T>
struct Call {
  const Kernel<T>& kernel;
  Problem p;
  Heads<T> query, key, value, out, out_gradient, query_gradient, key_gradient, value_gradient;
  Array<float> statistics;

  Call(const Kernel<T>& kernel, const Problem& problem, int64_t gap = 6)
      : kernel(kernel),
        p(problem),
        query(p, p.queries, gap),
        key(p, p.keys, gap),
        value(p, p.keys, gap),
        out(p, p.queries, gap),
        out_gradient(p, p.queries, gap),
        query_gradient(p, p.queries, gap),
        key_gradient(p, p.keys, gap),
        value_gradient(p, p.keys, gap),
        statistics(p.batch * p.heads * p.queries * kernel.statistics) {
    Random random(p.queries * 131 + p.keys + p.width);
    for (Heads<T>* heads : {&query, &key, &value, &out_gradient}) heads->fill([&] { return 2 * random.uniform(); });
  }
  Inputs<T> inputs() { return {query.view(), key.view(), value.view()}; }
  Inputs<T> gradients() { return {query_gradient.view(), key_gradient.view(), value_gradient.view()}; }
  Result<T> result() { return {out.view(), statistics.data()}; }
  void forward(int64_t first, int64_t last) {
    const int64_t units = kernel.unit > 0 ? (p.queries + kernel.unit - 1) / kernel.unit : 1;
    kernel.forward(p, inputs(), result(), first * units, last * units);
  }
  /// The logarithm of the sum of exp(scaled score).
  double lse(int64_t row) const {
    if (kernel.statistics == 1) return statistics[row];
    return (statistics[2 * row] - std::log2(statistics[2 * row + 1])) * std::log(2.0);
  }
  void run(int64_t first, int64_t last) {
    forward(first, last);
    kernel.backward(p, inputs(), result(), out_gradient.view(), gradients(), first, last);
  }
};

/// The exact weights, outputs and gradients of one (batch, head).
template <class T>
struct Exact {
  std::vector<double> weights, out, query_gradient, key_gradient, value_gradient, lse;
  /// The largest terms of the gradients of query and key. A term has a difference as a factor, which may be zero: what
  /// rounding leaves of it is in proportion to both of its sides.
  double query_terms = 0, key_terms = 0;

  Exact(Call<T>& call, int64_t b, int64_t h) {
    const Problem& p = call.p;
    weights.resize(p.queries * p.keys);
    out.resize(p.queries * p.width);
    lse.resize(p.queries);
    query_gradient.resize(p.queries * p.width);
    key_gradient.resize(p.keys * p.width);
    value_gradient.resize(p.keys * p.width);
    for (int64_t i = 0; i < p.queries; ++i) {
      double* const row = &weights[i * p.keys];
      forward_row(call, b, h, i, row);
      backward_row(call, b, h, i, row);
    }
  }

 private:
  void forward_row(Call<T>& call, int64_t b, int64_t h, int64_t i, double* row) {
    const Problem& p = call.p;
    double largest = -infinity, total = 0;
    for (int64_t t = 0; t < p.keys; ++t) {
      double score = 0;
      for (int64_t d = 0; d < p.width; ++d) score += call.query.get(b, i, h, d) * call.key.get(b, t, h, d);
      row[t] = score * p.scale;
      largest = row[t] > largest || std::isnan(row[t]) ? row[t] : largest;
    }
    for (int64_t t = 0; t < p.keys; ++t) total += row[t] = std::exp(row[t] - largest);
    for (int64_t t = 0; t < p.keys; ++t) {
      row[t] /= total;
      for (int64_t d = 0; d < p.width; ++d) out[i * p.width + d] += row[t] * call.value.get(b, t, h, d);
    }
    lse[i] = largest + std::log(total);
  }

  void backward_row(Call<T>& call, int64_t b, int64_t h, int64_t i, const double* row) {
    const Problem& p = call.p;
    double delta = 0;
    for (int64_t d = 0; d < p.width; ++d) delta += out[i * p.width + d] * call.out_gradient.get(b, i, h, d);
    for (int64_t t = 0; t < p.keys; ++t) {
      double weight_gradient = 0;
      for (int64_t d = 0; d < p.width; ++d)
        weight_gradient += call.out_gradient.get(b, i, h, d) * call.value.get(b, t, h, d);
      const double score_gradient = row[t] * (weight_gradient - delta) * p.scale;
      const double both_sides = row[t] * (std::fabs(weight_gradient) + std::fabs(delta)) * std::fabs(p.scale);
      for (int64_t d = 0; d < p.width; ++d) {
        query_terms = std::fmax(query_terms, both_sides * std::fabs(call.key.get(b, t, h, d)));
        key_terms = std::fmax(key_terms, both_sides * std::fabs(call.query.get(b, i, h, d)));
        query_gradient[i * p.width + d] += score_gradient * call.key.get(b, t, h, d);
        key_gradient[t * p.width + d] += score_gradient * call.query.get(b, i, h, d);
        value_gradient[t * p.width + d] += row[t] * call.out_gradient.get(b, i, h, d);
      }
    }
  }
};

/// Rounding the weights, the outputs and the gradients of the scores to bfloat16 leaves 2⁻⁹ of each: 3 % of the largest
/// value is far more, and far less than what a wrong index does. In float32 it is a thousandth of that.
template <class T>
void expect_heads(Heads<T>& got, const std::vector<double>& exact, int64_t b, int64_t h, const std::string& where,
                  double terms = 0) {
  double largest = std::fmax(1e-3, terms);
  for (const double value : exact)
    if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
  const double bound = (sizeof(T) == 2 ? 3e-2 : 3e-5) * largest;
  for (int64_t i = 0; i < got.length; ++i)
    for (int64_t d = 0; d < got.width; ++d)
      expect_close(got.get(b, i, h, d), exact[i * got.width + d], bound,
                   text(where, ", batch ", b, ", head ", h, ", row ", i, ", element ", d));
}

template <class T>
void check(Call<T>& call, const std::string& where) {
  const Problem& p = call.p;
  for (int64_t b = 0; b < p.batch; ++b)
    for (int64_t h = 0; h < p.heads; ++h) {
      const Exact<T> exact(call, b, h);
      expect_heads(call.out, exact.out, b, h, where + ", out");
      for (int64_t i = 0; i < p.queries; ++i)
        expect_close(call.lse((b * p.heads + h) * p.queries + i), exact.lse[i], 1e-4 * (1 + std::fabs(exact.lse[i])),
                     text(where, ", lse of row ", i));
      const std::string of = where + ", gradient of the ";
      expect_heads(call.query_gradient, exact.query_gradient, b, h, of + "query", exact.query_terms);
      expect_heads(call.key_gradient, exact.key_gradient, b, h, of + "key", exact.key_terms);
      expect_heads(call.value_gradient, exact.value_gradient, b, h, of + "value");
    }
  for (Heads<T>* heads : {&call.out, &call.query_gradient, &call.key_gradient, &call.value_gradient})
    heads->expect_untouched(where);
}

/// Adds a test for each kernel that this machine can run.
struct AddForKernels {
  template <class Body>
  AddForKernels(const char* name, const Body& body) {
    if (bf16_pair_kernel()) add<Bf16>("avx512_bf16", *bf16_pair_kernel(), name, body);
    if (bf16_tile_kernel() && runs("amx_bf16")) add<Bf16>("amx_bf16", *bf16_tile_kernel(), name, body);
    for (const auto& [family, kernels] : {std::pair{"baseline", baseline_kernels()}, std::pair{"avx2", avx2_kernels()},
                                          std::pair{"avx512", avx512_kernels()}})
      if (kernels) {
        add<float>(text(family, " in float32"), kernels->f32, name, body);
        add<Bf16>(text(family, " in bfloat16"), kernels->bf16, name, body);
      }
  }

 private:
  template <class T, class Body>
  void add(const std::string& family, const Kernel<T>& kernel, const char* name, const Body& body) {
    tests().emplace_back(text(family, ": ", name), [&kernel, body] { body(kernel); });
  }
};

const AddForKernels sizes_test("attention of any length", []<class T>(const Kernel<T>& kernel) {
  // Blocks of 24, 32, 48 or 64 queries, and of 64 in backward of pairs; vectors of 8 or 16 queries or keys; tiles of 6
  // rows; parts of 192 keys.
  for (const int64_t width : {5, 32, 40, 64, 96, 128}) {
    if (kernel.statistics == 1 && width % 32 != 0) continue;
    for (const auto& [queries, keys] :
         {std::pair{1, 1}, std::pair{7, 2}, std::pair{24, 15}, std::pair{25, 16}, std::pair{13, 33}, std::pair{65, 47},
          std::pair{130, 64}, std::pair{3, 200}, std::pair{64, 96}}) {
      Call<T> call(kernel, {1, 2, queries, keys, width, 0.3f});
      call.run(0, 2);
      check(call, text(queries, " queries, ", keys, " keys, width ", width));
    }
  }
});

const AddForKernels parts_test("attention in parts has the same bits", []<class T>(const Kernel<T>& kernel) {
  const Problem p{2, 3, 70, 35, 32, 0.2f};
  Call<T> whole(kernel, p, 0), parts(kernel, p, 0);
  whole.run(0, 6);
  for (const int64_t problem : {5, 0, 3, 4, 1, 2}) parts.run(problem, problem + 1);
  for (const auto& [a, b] :
       {std::pair{&whole.out, &parts.out}, std::pair{&whole.query_gradient, &parts.query_gradient},
        std::pair{&whole.key_gradient, &parts.key_gradient}, std::pair{&whole.value_gradient, &parts.value_gradient}})
    for (int64_t i = 0; i < a->values.count(); ++i)
      expect_close(number(b->values[i]), number(a->values[i]), 0, text("element ", i));
  check(whole, "the whole");
});

const AddForKernels uniform_test("attention of equal scores is the mean", []<class T>(const Kernel<T>& kernel) {
  Call<T> call(kernel, {1, 1, 5, 37, 32, 1});
  call.query.fill([] { return 0.0f; });
  call.run(0, 1);
  check(call, "queries of zeros");
});

const AddForKernels large_test("attention of large scores", []<class T>(const Kernel<T>& kernel) {
  for (const float scale : {60.0f, -60.0f}) {
    if (kernel.statistics == 1 && scale < 0) continue;
    Call<T> call(kernel, {1, 1, 20, 40, 32, scale});
    call.forward(0, 1);
    const Exact<T> exact(call, 0, 0);
    for (int64_t i = 0; i < call.p.queries; ++i)
      for (int64_t d = 0; d < call.p.width; ++d)
        expect_close(call.out.get(0, i, 0, d), exact.out[i * call.p.width + d], sizeof(T) == 2 ? 0.06 : 1e-2,
                     text("scale ", scale, ", row ", i, ", element ", d));
  }
});

const AddForKernels finite_test("attention of huge scores is finite", []<class T>(const Kernel<T>& kernel) {
  Call<T> call(kernel, {1, 1, 20, 40, 32, 1e8f});
  call.run(0, 1);
  const auto expect_finite = [&](const char* what, Heads<T>& heads, int64_t rows) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t d = 0; d < call.p.width; ++d)
        if (!std::isfinite(heads.get(0, i, 0, d))) throw text(what, ", row ", i, ", element ", d);
  };
  expect_finite("out", call.out, call.p.queries);
  expect_finite("the gradient of the queries", call.query_gradient, call.p.queries);
  expect_finite("the gradient of the keys", call.key_gradient, call.p.keys);
  expect_finite("the gradient of the values", call.value_gradient, call.p.keys);
});

const AddForKernels nan_test("NaN in a query spoils its row alone, in a value its element alone",
                             []<class T>(const Kernel<T>& kernel) {
                               Call<T> call(kernel, {1, 1, 30, 20, 32, 0.3f});
                               call.query.at(0, 4, 0, 3) = element(nan, T{});
                               call.query.at(0, 9, 0, 0) = element(infinity, T{});
                               call.value.at(0, 7, 0, 5) = element(nan, T{});
                               call.forward(0, 1);
                               const Exact<T> exact(call, 0, 0);
                               expect_heads(call.out, exact.out, 0, 0, "out");
                               for (int64_t i = 0; i < 30; ++i)
                                 if ((i == 4 || i == 9) != static_cast<bool>(std::isnan(call.lse(i))))
                                   throw text("the lse of row ", i, " is ", call.lse(i));
                             });

}  // namespace

}  // namespace kernels
