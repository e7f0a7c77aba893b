/** What is wrong with the bytes of a 9P conversation. */

/**
 * - `broken`: the message cannot be read; the conversation has lost its footing and ends.
 * - `text`: the message is whole, but a text in it is not UTF-8, or has a NUL or, as a name, a `/`. An error is answered
 *   and the conversation goes on: Linux passes any bytes of a name on, whoever typed them.
 * - `unknown`: a whole message of a type that the dialect does not have. An error is answered.
 */
export type Flaw = "broken" | "text" | "unknown"

/** Thrown by the decoders and by `Frames`, and by nothing else. */
export class NinepProtocolError extends Error {
  readonly flaw: Flaw

  constructor(flaw: Flaw, message: string) {
    super(message)
    this.name = "NinepProtocolError"
    this.flaw = flaw
  }
}
