/** A tree answers at once or by a promise: these go on without a promise where there is none. */

export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return value instanceof Promise
}

/** Goes on with the value, now or when it is there. */
export function andThen<T, U>(value: T | Promise<T>, go: (value: T) => U | Promise<U>): U | Promise<U> {
  return isPromise(value) ? value.then(go) : go(value)
}
