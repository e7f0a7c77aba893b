/** A message in JSON. */

import type { JsonObject } from "../../../base/json.ts"

/** Its text; what is no UTF-8 as base64, because JSON has no bytes. */
export function contentOf({ bytes }: { readonly bytes: Uint8Array }): JsonObject {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { base64: Buffer.from(bytes).toString("base64") }
  }
}
