/**
 * Who asks a server on this machine's own address. A page of another site can send requests here from the user's browser,
 * by a name that leads here too, and a proxy brings strangers: none of these is the user.
 */

import { headerValue } from "../../../base/header-fields.ts"
import type { Visitor } from "../app/visitor.ts"

/** `headers` is a flat list of names and values, `address` where the connection comes from. */
export function localVisitor(headers: readonly string[], address: string): Visitor {
  return isOwn(headers) ? { kind: "own" } : { kind: "public", address }
}

function isOwn(headers: readonly string[]): boolean {
  const host = headerValue(headers, "host")?.toLowerCase() ?? ""
  // Anybody's domain may have the address of this machine (DNS rebinding); names below localhost are nobody else's.
  if (!ownHost.test(host)) return false
  if (proxyFields.some((name) => headerValue(headers, name) !== undefined)) return false
  // Another port of this machine is the same site, and another program.
  const site = headerValue(headers, "sec-fetch-site")
  if (site !== undefined && site !== "same-origin" && site !== "none") return false
  const origin = headerValue(headers, "origin")
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)
}

const ownHost = /^(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/
const proxyFields: readonly string[] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"]
