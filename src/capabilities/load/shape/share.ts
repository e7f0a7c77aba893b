/** How generators divide what a plan has: together they have all of it, whatever their number. */

/** One of so many generators. */
export interface Share {
  /** From 0. */
  readonly index: number
  readonly of: number
}

/** Of `whole`, what this one has: equal parts, and the first ones take what is left over. */
export function shareOf(whole: number, { index, of }: Share): number {
  return Math.floor((whole + of - 1 - index) / of)
}

/**
 * Of `wanted` connections to all targets, those that are this generator's to one of them. They are dealt like cards, target
 * after target, by the `most` there ever are: whose a connection is does not change with what is wanted now.
 */
export function dealt(
  wanted: number,
  most: number,
  target: { readonly at: number; readonly of: number },
  share: Share,
): number {
  let before = 0
  for (let index = 0; index < target.at; index++) before += shareOf(most, { index, of: target.of })
  const index = (((share.index - before) % share.of) + share.of) % share.of
  return shareOf(shareOf(wanted, { index: target.at, of: target.of }), { index, of: share.of })
}
