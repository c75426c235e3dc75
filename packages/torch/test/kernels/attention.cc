// The fused attention of attention_avx512.cc against the formula in float64.
#include "kernels/attention.h"
#include "check.h"

namespace kernels {

namespace {

using rfdetr::attention::Bf16;
using rfdetr::attention::Problem;
using View = rfdetr::attention::View<Bf16>;
using Inputs = rfdetr::attention::Inputs<Bf16>;
using Result = rfdetr::attention::Result<Bf16>;

const auto& [unit, statistics, forward, backward] = rfdetr::attention::bf16_pair_kernel();

/// A tensor [batch, length, heads, width] whose rows are `gap` elements longer than its heads.
struct Heads {
  int64_t batch, length, heads, width, row;
  Array<uint16_t> values;

  Heads(const Problem& p, int64_t length, int64_t gap)
      : batch(p.batch),
        length(length),
        heads(p.heads),
        width(p.width),
        row(p.heads * p.width + gap),
        values(batch * length * row - gap, 0x1234) {}
  View view() { return {values.data(), length * row, row, width}; }
  uint16_t& at(int64_t b, int64_t i, int64_t h, int64_t d) { return values[(b * length + i) * row + h * width + d]; }
  double get(int64_t b, int64_t i, int64_t h, int64_t d) { return from_bf16(at(b, i, h, d)); }
  template <class Of>
  void fill(Of&& of) {
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < length; ++i)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t d = 0; d < width; ++d) at(b, i, h, d) = of();
  }
  /// What lies between the rows is nobody's to write.
  void expect_untouched(const std::string& where) {
    for (int64_t i = 0; i < values.count(); ++i)
      if (i % row >= heads * width) expect_bits(values[i], 0x1234, where + ", between the rows");
  }
};

/// All operands and results of one call.
struct Call {
  Problem p;
  Heads query, key, value, out, out_gradient, query_gradient, key_gradient, value_gradient;
  Array<float> lse;

  explicit Call(const Problem& problem, int64_t gap = 6)
      : p(problem),
        query(p, p.queries, gap),
        key(p, p.keys, gap),
        value(p, p.keys, gap),
        out(p, p.queries, gap),
        out_gradient(p, p.queries, gap),
        query_gradient(p, p.queries, gap),
        key_gradient(p, p.keys, gap),
        value_gradient(p, p.keys, gap),
        lse(p.batch * p.heads * p.queries) {
    Random random(p.queries * 131 + p.keys + p.width);
    for (Heads* heads : {&query, &key, &value, &out_gradient})
      heads->fill([&] { return to_bf16(2 * random.uniform()); });
  }
  Inputs inputs() { return {query.view(), key.view(), value.view()}; }
  Inputs gradients() { return {query_gradient.view(), key_gradient.view(), value_gradient.view()}; }
  Result result() { return {out.view(), lse.data()}; }
  void run(int64_t first, int64_t last) {
    forward(p, inputs(), result(), first, last);
    backward(p, inputs(), result(), out_gradient.view(), gradients(), first, last);
  }
};

/// The exact weights, outputs and gradients of one (batch, head).
struct Exact {
  std::vector<double> weights, out, query_gradient, key_gradient, value_gradient, lse;

  Exact(Call& call, int64_t b, int64_t h) {
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
  void forward_row(Call& call, int64_t b, int64_t h, int64_t i, double* row) {
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

  void backward_row(Call& call, int64_t b, int64_t h, int64_t i, const double* row) {
    const Problem& p = call.p;
    double delta = 0;
    for (int64_t d = 0; d < p.width; ++d) delta += out[i * p.width + d] * call.out_gradient.get(b, i, h, d);
    for (int64_t t = 0; t < p.keys; ++t) {
      double weight_gradient = 0;
      for (int64_t d = 0; d < p.width; ++d)
        weight_gradient += call.out_gradient.get(b, i, h, d) * call.value.get(b, t, h, d);
      const double score_gradient = row[t] * (weight_gradient - delta) * p.scale;
      for (int64_t d = 0; d < p.width; ++d) {
        query_gradient[i * p.width + d] += score_gradient * call.key.get(b, t, h, d);
        key_gradient[t * p.width + d] += score_gradient * call.query.get(b, i, h, d);
        value_gradient[t * p.width + d] += row[t] * call.out_gradient.get(b, i, h, d);
      }
    }
  }
};

/// Rounding the weights, the outputs and the gradients of the scores to bfloat16 leaves 2⁻⁹ of each: 3 % of the largest
/// value is far more, and far less than what a wrong index does.
void expect_heads(Heads& got, const std::vector<double>& exact, int64_t b, int64_t h, const std::string& where) {
  double largest = 1e-3;
  for (const double value : exact)
    if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
  for (int64_t i = 0; i < got.length; ++i)
    for (int64_t d = 0; d < got.width; ++d)
      expect_close(got.get(b, i, h, d), exact[i * got.width + d], 0.03 * largest,
                   text(where, ", batch ", b, ", head ", h, ", row ", i, ", element ", d));
}

void check(Call& call, const std::string& where) {
  const Problem& p = call.p;
  for (int64_t b = 0; b < p.batch; ++b)
    for (int64_t h = 0; h < p.heads; ++h) {
      const Exact exact(call, b, h);
      expect_heads(call.out, exact.out, b, h, where + ", out");
      for (int64_t i = 0; i < p.queries; ++i)
        expect_close(call.lse[(b * p.heads + h) * p.queries + i], exact.lse[i], 1e-4 * (1 + std::fabs(exact.lse[i])),
                     text(where, ", lse of row ", i));
      expect_heads(call.query_gradient, exact.query_gradient, b, h, where + ", gradient of the query");
      expect_heads(call.key_gradient, exact.key_gradient, b, h, where + ", gradient of the key");
      expect_heads(call.value_gradient, exact.value_gradient, b, h, where + ", gradient of the value");
    }
  for (Heads* heads : {&call.out, &call.query_gradient, &call.key_gradient, &call.value_gradient})
    heads->expect_untouched(where);
}

std::string name_of(const Problem& p) { return text(p.queries, " queries, ", p.keys, " keys, width ", p.width); }

const Add sizes_test("attention of any length", [] {
  // Blocks of 24 queries in forward and of 64 in backward; vectors of 16 keys, padded to 32.
  for (const int64_t width : {32, 64, 96, 128})
    for (const auto& [queries, keys] : {std::pair{1, 1}, std::pair{7, 2}, std::pair{24, 15}, std::pair{25, 16},
                                        std::pair{13, 33}, std::pair{65, 47}, std::pair{130, 64}}) {
      Call call({1, 2, queries, keys, width, 0.3f});
      call.run(0, 2);
      check(call, name_of(call.p));
    }
});

const Add parts_test("attention in parts has the same bits", [] {
  const Problem p{2, 3, 40, 35, 32, 0.2f};
  Call whole(p, 0), parts(p, 0);
  whole.run(0, 6);
  for (const int64_t problem : {5, 0, 3, 4, 1, 2}) parts.run(problem, problem + 1);
  for (const auto& [a, b] :
       {std::pair{&whole.out, &parts.out}, std::pair{&whole.query_gradient, &parts.query_gradient},
        std::pair{&whole.key_gradient, &parts.key_gradient}, std::pair{&whole.value_gradient, &parts.value_gradient}})
    for (int64_t i = 0; i < a->values.count(); ++i) expect_bits(b->values[i], a->values[i], text("element ", i));
  check(whole, "the whole");
});

const Add uniform_test("attention of equal scores is the mean", [] {
  Call call({1, 1, 5, 37, 32, 1});
  call.query.fill([] { return uint16_t{0}; });
  call.run(0, 1);
  check(call, "queries of zeros");
});

const Add large_test("attention of large scores", [] {
  Call call({1, 1, 20, 40, 32, 60});
  forward(call.p, call.inputs(), call.result(), 0, 1);
  const Exact exact(call, 0, 0);
  expect_heads(call.out, exact.out, 0, 0, "scale 60");
});

const Add nan_test("NaN in a query spoils its row alone, in a value its element alone", [] {
  Call call({1, 1, 30, 20, 32, 0.3f});
  call.query.at(0, 4, 0, 3) = to_bf16(nan);
  call.query.at(0, 9, 0, 0) = to_bf16(infinity);
  call.value.at(0, 7, 0, 5) = to_bf16(nan);
  forward(call.p, call.inputs(), call.result(), 0, 1);
  const Exact exact(call, 0, 0);
  expect_heads(call.out, exact.out, 0, 0, "out");
  for (int64_t i = 0; i < 30; ++i)
    if ((i == 4 || i == 9) != static_cast<bool>(std::isnan(call.lse[i])))
      throw text("the lse of row ", i, " is ", call.lse[i]);
});

}  // namespace

}  // namespace kernels
