/** Prepared statements by their text: the ones that were used last, so many and no more. */

export class StatementCache<Statement> {
  readonly #statements = new Map<string, Statement>()
  readonly #limit: number
  readonly #forget: (statement: Statement) => void

  /** `forget` frees a statement that leaves. */
  constructor(limit: number, forget: (statement: Statement) => void) {
    this.#limit = limit
    this.#forget = forget
  }

  get(text: string): Statement | undefined {
    const statement = this.#statements.get(text)
    if (statement === undefined) return undefined
    this.#statements.delete(text)
    this.#statements.set(text, statement)
    return statement
  }

  put(text: string, statement: Statement): void {
    if (this.#statements.size >= this.#limit) {
      const oldest = this.#statements.keys().next().value as string
      this.#forget(this.#statements.get(oldest) as Statement)
      this.#statements.delete(oldest)
    }
    this.#statements.set(text, statement)
  }

  clear(): void {
    for (const statement of this.#statements.values()) this.#forget(statement)
    this.#statements.clear()
  }
}
