/**
 * Text in the columns of a terminal: measured, cut, wrapped and set as tables. Names and error texts come from strangers,
 * so nothing in them may command the terminal or turn the direction of the line.
 */

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan"

/** Colours a text, or returns it as it is where colours are not wanted. */
export type Paint = (style: Style, text: string) => string

export const plain: Paint = (_style, text) => text

/** One line without control characters, direction marks and halves of characters. */
export function printable(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, "?")
}

/** Columns that a terminal needs: East Asian wide characters and pictures take two, combining marks none. */
export function columnsOf(text: string): number {
  let columns = 0
  for (const character of text) columns += columnsOfCharacter(character)
  return columns
}

/** At most so many columns; what was cut is marked with `…`. */
export function clip(text: string, columns: number): string {
  if (text.length <= columns && !/[^\u0020-\u02ff]/.test(text)) return text
  if (columnsOf(text) <= columns) return text
  let kept = ""
  let used = 0
  for (const character of text) {
    const more = columnsOfCharacter(character)
    if (used + more > columns - 1) break
    kept += character
    used += more
  }
  return columns < 1 ? "" : `${kept}…`
}

/** Lines of at most so many columns, broken between words; a longer word is cut. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && columnsOf(line) + 1 + columnsOf(word) > columns) {
      lines.push(line)
      line = ""
    }
    line = line === "" ? clip(word, columns) : `${line} ${word}`
  }
  return [...lines, line]
}

/** `decimal`: to the right with the decimal points below each other. */
export type Align = "left" | "right" | "decimal"

/**
 * Lines of a table whose first row is its head. A column's alignment is that of `aligns`, the last one holding for all
 * further columns.
 */
export function tableLines(rows: readonly (readonly string[])[], aligns: readonly Align[], gap = 3): string[] {
  const cells = rows.map((row) => [...row])
  const count = Math.max(0, ...cells.map((row) => row.length))
  for (let column = 0; column < count; column++) {
    const align = aligns[Math.min(column, aligns.length - 1)] ?? "left"
    if (align === "decimal") padDecimals(cells.slice(1), column)
    const width = Math.max(...cells.map((row) => columnsOf(row[column] ?? "")))
    for (const row of cells) {
      const text = row[column] ?? ""
      const space = " ".repeat(width - columnsOf(text))
      row[column] = align === "left" ? text + space : space + text
    }
  }
  return cells.map((row) => row.join(" ".repeat(gap)).trimEnd())
}

function padDecimals(rows: readonly string[][], column: number): void {
  const behind = (text: string) => (text.includes(".") ? text.length - text.lastIndexOf(".") : 0)
  const most = Math.max(0, ...rows.map((row) => behind(row[column] ?? "")))
  for (const row of rows) {
    const text = row[column] ?? ""
    row[column] = text + " ".repeat(most - behind(text))
  }
}

function columnsOfCharacter(character: string): number {
  const code = character.codePointAt(0) as number
  if (code < 0x300) return 1
  if (/\p{Mn}|\p{Me}|\ufe0f/u.test(character)) return 0
  return wide.some(([from, to]) => code >= from && code <= to) ? 2 : 1
}

/** Unicode's East Asian Width W and F, by blocks. */
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
]
