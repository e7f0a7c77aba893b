/** Methods that may be sent a second time, because doing it twice does what doing it once does (RFC 9110 section 9.2.2). */

const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])

/** Methods are case-sensitive; those that are not known here are not idempotent. */
export function isIdempotent(method: string): boolean {
  return methods.has(method)
}
