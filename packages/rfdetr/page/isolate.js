// @ts-check
// Threads of WebAssembly need an isolated page, which a server makes with two headers. Where it does not, a service
// worker adds them, and the page loads once more.

/** Once for each visit: a browser that refuses would otherwise load for ever. */
const mark = "rfdetr-isolated";

/** Resolves when the page may start; never where it loads once more. */
export async function isolate() {
  if (globalThis.crossOriginIsolated || !("serviceWorker" in navigator)) return;
  try {
    if (sessionStorage.getItem(mark) !== null) return;
    await navigator.serviceWorker.register(new URL("service-worker.js", import.meta.url));
    await navigator.serviceWorker.ready;
    sessionStorage.setItem(mark, "asked");
    location.reload();
    await new Promise(() => {});
  } catch {
    // One thread is enough to go on.
  }
}
