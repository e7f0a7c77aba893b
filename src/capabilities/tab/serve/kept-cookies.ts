/**
 * Browsers drop `Set-Cookie` from responses that scripts make ("forbidden response-header name" of the Fetch standard). A
 * server's visitors at its public URL need it, so where the platform does that, a response keeps its fields itself.
 */

/** Replaces `Response` of a worker before the application is loaded, where that is needed. */
export function keepCookies(scope: { Response: typeof Response }): void {
  const probe = new scope.Response(null, { headers: { "set-cookie": "a=b" } })
  if (!probe.headers.has("set-cookie")) scope.Response = keepingCookies(scope.Response)
}

/** For tests where it is not needed; others use `keepCookies`. */
export function keepingCookies(Plain: typeof Response): typeof Response {
  /** What the compiler takes for a class with fields has accessors: they are replaced. */
  const Base = Plain as unknown as new (body?: ConstructorParameters<typeof Response>[0], init?: ResponseInit) => object

  class KeepingResponse extends Base {
    readonly #headers: Headers

    constructor(body?: ConstructorParameters<typeof Response>[0], init?: ResponseInit) {
      super(body, init)
      this.#headers = new Headers(init?.headers)
      // The type that comes with the body.
      const type = (Reflect.get(Plain.prototype, "headers", this) as Headers).get("content-type")
      if (type !== null) this.#headers.set("content-type", type)
    }

    get headers(): Headers {
      return this.#headers
    }

    clone(): object {
      const copy = Plain.prototype.clone.call(this)
      const { status, statusText } = copy
      return new KeepingResponse(copy.body, { status, statusText, headers: this.#headers })
    }

    static json(data: unknown, init?: ResponseInit): object {
      const headers = new Headers(init?.headers)
      if (!headers.has("content-type")) headers.set("content-type", "application/json")
      return new KeepingResponse(JSON.stringify(data), { ...init, headers })
    }

    /** Responses of the platform (`fetch`, `Response.redirect`) are responses as well. */
    static override [Symbol.hasInstance](value: unknown): boolean {
      return typeof value === "object" && value !== null && Plain.prototype.isPrototypeOf(value)
    }
  }
  return KeepingResponse as unknown as typeof Response
}
