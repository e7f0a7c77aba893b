/** What one loop has used of a cap lately, and whether it would have used more. */
export interface Demand {
  readonly cap: string
  /** Bytes/s. */
  readonly used: number
  /** Somebody had to wait for more. */
  readonly hungry: boolean
  /** Of those who shared it there. */
  readonly weight: number
}

/** What a loop gets of a cap, 0 to 1. */
export interface Part {
  readonly cap: string
  readonly share: number
}
