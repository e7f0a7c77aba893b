/**
 * The head of a message as a value: what the two ends of a tunnel pass to each other in a metadata block. Header fields
 * keep their order and spelling, because some services and clients look at both; they are one flat array (name, value,
 * name, value) because that is one allocation instead of one per field. Values are latin1: RFC 9110 section 5.5 leaves
 * octets beyond ASCII opaque, so each travels as the character with its number.
 */

// Type aliases, not interfaces: an alias fits where JSON is asked for, so that a head goes into a metadata block as it is.
export type RequestHead = {
  /** Any token, as received: methods are case-sensitive (RFC 9110 section 9.1). */
  readonly method: string
  /** Origin-form (`/path?query`), or `*` for OPTIONS. */
  readonly target: string
  /** The minor version that the sender spoke. */
  readonly minor: 0 | 1
  readonly headers: readonly string[]
}

export type ResponseHead = {
  /** 100 to 999. */
  readonly status: number
  /** May be empty. */
  readonly reason: string
  readonly minor: 0 | 1
  readonly headers: readonly string[]
}
