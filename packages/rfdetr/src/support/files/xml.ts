// Escapes text for XML and SVG.

/** Escapes text for elements and attributes; control characters, which XML does not allow, become spaces. */
export function escapeXml(content: string): string {
  return (
    content
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
      .replace(/[\u0000-\u001f\ufffe\uffff]/g, " ")
      .replace(/&/g, "&amp;")
      .replace(/</g, "&lt;")
      .replace(/>/g, "&gt;")
      .replace(/"/g, "&quot;")
  );
}
