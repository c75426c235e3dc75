// @ts-check
// Threads of WebAssembly need an isolated page, which a server makes with two headers. Where it does not, a service
// worker adds them, and the page loads once more.

/** Once for each visit: a browser that refuses would otherwise load for ever. */
const mark = "rfdetr-isolated";

export async function isolate() {
  if (globalThis.crossOriginIsolated || !("serviceWorker" in navigator) || sessionStorage.getItem(mark) !== null)
    return;
  try {
    await navigator.serviceWorker.register(new URL("service-worker.js", import.meta.url));
    await navigator.serviceWorker.ready;
    sessionStorage.setItem(mark, "asked");
    location.reload();
  } catch {
    // One thread is enough to go on.
  }
}
