// Hammers the team of threads that shares the work of operators: every task runs once, in calls of many sizes from
// several threads at once, and tasks of a call may wait for each other. A test runs it under ThreadSanitizer. By hand,
// in packages/torch:
//
//   g++ -std=c++20 -O1 -g -fsanitize=thread -pthread -Inative test/threads/team.cc \
//     native/team.cc
//   ./a.out
#include "team.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

using rfdetr::Team;

namespace {

std::atomic<int> faults{0};

void check(bool right, const char* what) {
  if (!right && faults.fetch_add(1) == 0) std::printf("wrong: %s\n", what);
}

struct Counted {
  std::vector<int> runs;  // one writer each, so no atomics: ThreadSanitizer sees whether run() orders them
};

void count_task(void* context, int64_t index) {
  check(Team::in_task(), "a task knows that it is one");
  ++static_cast<Counted*>(context)->runs[index];
}

struct Meeting {
  std::atomic<int> arrived{0};
  int expected;
};

void meet(void* context, int64_t) {
  auto& meeting = *static_cast<Meeting*>(context);
  meeting.arrived.fetch_add(1);
  while (meeting.arrived.load() < meeting.expected) std::this_thread::yield();
}

void call_many_times(unsigned seed, int calls) {
  std::mt19937 random(seed);
  for (int i = 0; i < calls; ++i) {
    const int threads = 2 + i * 4 / calls;
    Team& team = Team::of_this_thread(threads);
    Counted counted{std::vector<int>(1 + random() % 40)};
    team.run(static_cast<int64_t>(counted.runs.size()), count_task, &counted);
    check(std::all_of(counted.runs.begin(), counted.runs.end(), [](int n) { return n == 1; }), "each task runs once");
    check(!Team::in_task(), "the caller is out of its tasks");
    if (i % 8 == 0) {
      Meeting meeting{0, 1 + static_cast<int>(random() % threads)};
      team.run(meeting.expected, meet, &meeting);
      check(meeting.arrived == meeting.expected, "tasks wait for each other");
    }
    // Now and then the helpers fall asleep.
    if (random() % 512 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

int main(int count, char** arguments) {
  const int calls = count > 1 ? std::atoi(arguments[1]) : 20000;
  std::vector<std::thread> callers;
  for (unsigned i = 0; i < 3; ++i) callers.emplace_back(call_many_times, i, calls);
  for (auto& caller : callers) caller.join();
  std::printf(faults == 0 ? "every task ran once\n" : "%d faults\n", faults.load());
  return faults == 0 ? 0 : 1;
}
