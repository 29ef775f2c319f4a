// UTF-8. QuickJS has the language and nothing around it: no TextEncoder, no URL, no console.

/** The bytes of a text. */
export function encode(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (byte) => byte.charCodeAt(0));
}

/** The text that bytes spell; throws when they spell none. */
export function decode(bytes) {
  let escaped = "";
  for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, "0")}`;
  return decodeURIComponent(escaped);
}
