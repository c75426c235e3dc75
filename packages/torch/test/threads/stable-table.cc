// Hammers the table of operators from several threads. A test runs it under ThreadSanitizer. By hand, in
// packages/torch:
//
//   g++ -std=c++20 -O1 -g -fsanitize=thread -pthread -Inative test/threads/stable-table.cc
//   ./a.out
//
// With -DDEQUE it does the same to a std::deque that is pushed to under a lock and indexed without one: that is a race.
#include "stable_table.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

struct Operator {
  std::string name;
};

#ifdef DEQUE
class Table {
 public:
  const Operator* get(int64_t number) const {
    return number < static_cast<int64_t>(operators_.size()) ? &operators_[number] : nullptr;
  }
  template <class Make>
  int32_t find_or_add(const std::string& key, Make&& make) {
    const std::lock_guard lock(mutex_);
    if (const auto found = numbers_.find(key); found != numbers_.end()) return found->second;
    const Operator* value = make();
    operators_.push_back(*value);
    delete value;
    return numbers_[key] = static_cast<int32_t>(operators_.size()) - 1;
  }

 private:
  std::deque<Operator> operators_;
  std::mutex mutex_;
  std::unordered_map<std::string, int32_t> numbers_;
};
Table table;
#else
rfdetr::StableTable<Operator, 1 << 14> table;
#endif

int main() {
  constexpr int threads = 4, names = 4000;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t)
    running.emplace_back([&, t] {
      std::vector<int> order(names);
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), std::mt19937(t));
      std::vector<std::pair<int32_t, std::string>> seen;
      for (const int i : order) {
        const std::string name = "aten::operator_with_a_long_name_" + std::to_string(i);
        seen.emplace_back(table.find_or_add(name, [&] { return new Operator{name}; }), name);
        // What was found earlier must still be there while others add.
        for (const size_t k : {seen.size() - 1, seen.size() / 2, size_t{0}}) {
          const Operator* op = table.get(seen[k].first);
          if (!op || op->name != seen[k].second) ++wrong;
        }
      }
    });
  for (auto& thread : running) thread.join();
  std::printf("%d threads, %d names: %d wrong\n", threads, names, wrong.load());
  return wrong != 0;
}
