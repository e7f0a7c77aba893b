/** Why somebody does not get what he wants, in one line for him. */

export class Refusal extends Error {
  readonly status: 400 | 403 | 404 | 409 | 413 | 429 | 502 | 503

  constructor(status: Refusal["status"], text: string) {
    super(text)
    this.status = status
  }
}
