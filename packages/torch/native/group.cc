// Joining a group of processes, leaving it, and its store. Blocking calls: training has a thread of its own.
#define USE_C10D_GLOO
#include "group.h"

#include <arpa/inet.h>
#include <c10/util/Logging.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdlib>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "env.h"
#include "gloo_stub/gloo/context.h"

namespace rfdetr {

namespace {

using std::chrono::milliseconds;

/// Never destroyed: at exit that would wait for ranks that are gone.
std::shared_ptr<Group>& current() {
  static auto* const pointer = new std::shared_ptr<Group>();
  return *pointer;
}
/// Guards the pointer. abort() comes from another thread than the one that is in a collective.
std::mutex group_mutex;

std::shared_ptr<Group> held() {
  const std::lock_guard lock(group_mutex);
  return current();
}

/// The store of the last group: it outlives an abort.
c10::intrusive_ptr<c10d::Store>& kept_store() {
  static auto* const store = new c10::intrusive_ptr<c10d::Store>();
  return *store;
}

/// The address that this machine has on the way to `address`. Its own name may stand for the loopback device.
std::string own_address(const std::string& address, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    throw std::runtime_error("name resolution of " + address + " failed");
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found, freeaddrinfo);
  for (const addrinfo* each = found; each; each = each->ai_next) {
    const int socket = ::socket(each->ai_family, SOCK_DGRAM, 0);
    if (socket < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    // Connecting a datagram socket sends nothing: it looks up the way.
    const bool routed = connect(socket, each->ai_addr, each->ai_addrlen) == 0 &&
                        getsockname(socket, reinterpret_cast<sockaddr*>(&own), &length) == 0;
    close(socket);
    char text[NI_MAXHOST];
    if (routed &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
      return text;
  }
  throw std::runtime_error("failed to connect: no network leads to " + address);
}

/// Waits for all ranks. @throws std::runtime_error naming those that do not come, or one that came twice
void meet(c10d::Store& store, const Group& group) {
  const auto key = [](int rank) { return "here/" + std::to_string(rank); };
  if (store.add(key(group.rank), 1) > 1)
    throw std::runtime_error("two processes have rank " + std::to_string(group.rank));
  std::vector<std::string> keys;
  for (int rank = 0; rank < group.size; ++rank) keys.push_back(key(rank));
  try {
    store.wait(keys, group.timeout);
  } catch (const std::exception&) {
    std::string missing;
    for (int rank = 0; rank < group.size; ++rank)
      if (!store.check({keys[rank]})) missing += (missing.empty() ? "" : ", ") + std::to_string(rank);
    if (missing.empty()) throw;
    throw std::runtime_error("these ranks did not come in time: " + missing);
  }
}

/// The store that is served at an address. c10d waits for ever where another program has the port and says nothing;
/// the thread that waits is left behind then.
c10::intrusive_ptr<c10d::Store> connect_to_store(const std::string& address, const c10d::TCPStoreOptions& options) {
  std::packaged_task<c10::intrusive_ptr<c10d::Store>()> task(
      [=] { return c10::make_intrusive<c10d::TCPStore>(address, options); });
  auto store = task.get_future();
  std::thread(std::move(task)).detach();
  if (store.wait_for(options.timeout) == std::future_status::ready) return store.get();
  throw std::runtime_error("failed to connect: no store answered in time");
}

/// joinGroup(rank, size, address, port, isStoreServer, storeFd, prefix, timeoutMilliseconds, networkInterface, device)
void join_group(napi_env env, const Args<10>& args) {
  if (held()) throw std::runtime_error("this process is in a group already");
  // Without it c10d writes warnings with backtraces to stderr; what matters comes as an exception.
  static std::once_flag once;
  std::call_once(once, [] {
    setenv("TORCH_CPP_LOG_LEVEL", "FATAL", 0);
    c10::initLogging();
  });
  auto joined = std::make_shared<Group>();
  Group& group = *joined;
  group.rank = static_cast<int>(to_int(env, args[0], "rank"));
  group.size = static_cast<int>(to_int(env, args[1], "size"));
  const std::string address = to_string(env, args[2], "address");
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(to_int(env, args[3], "port"));
  options.isServer = to_bool(env, args[4], "isStoreServer");
  if (const int64_t fd = to_int(env, args[5], "storeFd"); fd >= 0 && options.isServer)
    options.masterListenFd = static_cast<int>(fd);
  group.timeout = milliseconds(to_int(env, args[7], "timeoutMilliseconds"));
  options.timeout = group.timeout;
  options.waitWorkers = false;
  auto tcp = connect_to_store(address, options);
  // Others may still need it when this process has left, or joins anew.
  static auto* const served = new std::vector<c10::intrusive_ptr<c10d::Store>>();
  if (options.isServer) served->push_back(tcp);
  group.store = c10::make_intrusive<c10d::PrefixStore>(to_string(env, args[6], "prefix"), tcp);
  meet(*group.store, group);
  const auto under = [&](const char* prefix) { return c10::make_intrusive<c10d::PrefixStore>(prefix, group.store); };
  const std::string interface = to_string(env, args[8], "networkInterface");
  const std::string own = interface.empty() ? own_address(address, options.port) : "";
  const auto connect = [&](const char* prefix) {
    auto gloo = c10d::ProcessGroupGloo::Options::create(group.timeout);
    gloo->threads = 8;  // as many collectives may be on their way at once: the buckets of a model
    gloo->devices.push_back(interface.empty() ? c10d::ProcessGroupGloo::createDeviceForHostname(own)
                                              : c10d::ProcessGroupGloo::createDeviceForInterface(interface));
    return c10::make_intrusive<c10d::ProcessGroupGloo>(under(prefix), group.rank, group.size, gloo);
  };
  group.gloo = connect("gloo");
  group.gather = connect("gather");
  const c10::Device device(to_string(env, args[9], "device"));
  if (!device.is_cpu()) group.nccl = make_nccl(under("nccl"), group.rank, group.size, device, group.timeout);
  const std::lock_guard lock(group_mutex);
  current() = joined;
  kept_store() = group.store;
}

/// Gloo has no abort. A receive that times out closes all connections: pending work fails here and at the peers. Its
/// tag is one that nobody sends; a collective would wait its turn behind what is pending.
void close_connections(const Group& group, const c10::intrusive_ptr<c10d::Backend>& backend) {
  if (group.size == 1) return;
  std::vector<at::Tensor> nothing{at::zeros({1})};
  try {
    backend->recv(nothing, group.rank == 0 ? 1 : 0, 0x7fffffff)->wait(milliseconds(1));
  } catch (const std::exception&) {}
}

void abort_group(napi_env) {
  std::shared_ptr<Group> aborted;
  {
    const std::lock_guard lock(group_mutex);
    aborted.swap(current());
  }
  if (!aborted) return;
  if (aborted->nccl) abort_nccl(aborted->nccl);
  close_connections(*aborted, aborted->gloo);
  close_connections(*aborted, aborted->gather);
}

void leave_group(napi_env) {
  const std::lock_guard lock(group_mutex);
  current().reset();
}

/// exitNow(code)
void exit_now(napi_env env, const Args<1>& args) { _exit(static_cast<int>(to_int(env, args[0], "code"))); }

c10d::Store& store() {
  if (!kept_store()) throw std::runtime_error("this process is in no group");
  return *kept_store();
}

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
napi_value text_of(napi_env env, const std::vector<uint8_t>& bytes) {
  return from_string(env, std::string(bytes.begin(), bytes.end()));
}

void store_set(napi_env env, const Args<2>& args) {
  store().set(to_string(env, args[0], "key"), bytes_of(to_string(env, args[1], "value")));
}

napi_value store_get(napi_env env, const Args<1>& args) {
  return text_of(env, store().get(to_string(env, args[0], "key")));
}

napi_value store_try_get(napi_env env, const Args<1>& args) {
  const std::string key = to_string(env, args[0], "key");
  if (!store().check({key})) return from_tensor(env, {});
  return text_of(env, store().get(key));
}

}  // namespace

std::shared_ptr<Group> group() {
  auto joined = held();
  if (!joined) throw std::runtime_error("this process is in no group");
  return joined;
}

void register_group(Exports& exports) {
  define<join_group>(exports, "joinGroup");
  define<abort_group>(exports, "abortGroup");
  define<leave_group>(exports, "leaveGroup");
  define<exit_now>(exports, "exitNow");
  define<store_set>(exports, "storeSet");
  define<store_get>(exports, "storeGet");
  define<store_try_get>(exports, "storeTryGet");
}

}  // namespace rfdetr
