// Fetches a file and tells how much of it is there.

/**
 * The bytes of a file.
 * @throws Error if the server does not give the file; the signal's reason when it is aborted
 */
export async function fetchFile(
  url: string | URL,
  progress?: (bytes: number, total: number | null) => void,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const response = await fetch(url, { signal: signal ?? null });
  if (!response.ok || response.body === null)
    throw new Error(`Expected a file at ${url} but the server answers ${response.status}`);
  const length = Number(response.headers.get("content-length"));
  // A compressed answer is longer than it says.
  const total = length > 0 && !response.headers.has("content-encoding") ? length : null;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    bytes += value.length;
    progress?.(bytes, total);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
