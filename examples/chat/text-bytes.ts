/** Bytes as text of addresses and JSON (RFC 4648 section 5, without padding), and what is random. */

export function toText(bytes: Uint8Array): string {
  let binary = ""
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}

/** Undefined: it is none. */
export function fromText(text: string): Uint8Array | undefined {
  if (!/^[\w-]*$/.test(text)) return undefined
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0))
  } catch {
    return undefined
  }
}

/** 128 bits: nobody has the same. */
export function randomText(): string {
  return toText(crypto.getRandomValues(new Uint8Array(16)))
}
