/**
 * What a receiver tells the others when it gives up. It passes the relay in the clear, so it names the kind of trouble, and
 * no file: names and paths stay with those who have the code.
 */

import type { ErrorCode, RdvError } from "../../../base/error.ts"

export function toldFailure({ code }: RdvError): string {
  return sayings[code] ?? "Something failed there"
}

const sayings: { readonly [code in ErrorCode]?: string } = {
  limit: "The disk is full",
  forbidden: "It may not write there",
  exists: "Something else has the name there",
  in_use: "Something else uses the file there",
  not_found: "It has no such folder",
  usage: "Its file system cannot hold a name of this",
  unreachable: "Its disk failed",
  corrupt: "Something else changed its files",
  too_large: "It is too large for it",
  protocol: "What it got makes no sense to it",
}
