/** A link as a QR code of half blocks, two modules in a character. */

import { encode } from "uqr"

export interface QrOptions {
  /** The terminal's. */
  readonly columns: number
  /** Black on white by escape sequences, whatever the terminal's colours are; else light on dark is assumed. */
  readonly coloured: boolean
}

/** Undefined when it would not fit. */
export function qrLines(text: string, { columns, coloured }: QrOptions): string[] | undefined {
  // Two modules around it instead of the standard's four: cameras read that, and screens are small.
  const { size, data } = encode(text, { ecc: "L", border: 2 })
  if (size > columns) return undefined
  const lines: string[] = []
  for (let row = 0; row < size; row += 2) {
    let line = ""
    for (let column = 0; column < size; column++) {
      const upper = data[row]?.[column] === true
      const lower = row + 1 < size && data[row + 1]?.[column] === true
      // Behind the last row there is nothing; it is painted as paper.
      line += coloured ? dark(upper, lower) : dark(!upper, row + 1 < size && !lower)
    }
    lines.push(coloured ? `\u001b[30;107m${line}\u001b[0m` : line)
  }
  return lines
}

/** The character whose upper and lower half have the text's colour or not. */
function dark(upper: boolean, lower: boolean): string {
  if (upper) return lower ? "█" : "▀"
  return lower ? "▄" : " "
}
