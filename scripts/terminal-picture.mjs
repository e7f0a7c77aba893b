/**
 * Draws what a terminal showed as an SVG: `node scripts/terminal-picture.mjs OUT.svg 'COMMAND=FILE' …`. Each file holds
 * what a command wrote to a terminal, colours included; for example from `script -qefc 'npm start' run.txt`. The pictures
 * in docs/images/ are made from real runs by it.
 */

import { readFileSync, writeFileSync } from "node:fs"

const columns = 84
const cell = { width: 8.4, height: 19 }
const margin = 18
const bar = 34
const font = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
const palette = {
  background: "#10151c",
  bar: "#1b222c",
  text: "#d5dde6",
  prompt: "#6fb3ff",
  31: "#ff7b72",
  32: "#7ee787",
  33: "#e3b341",
  34: "#79c0ff",
  35: "#d2a8ff",
  36: "#76e3ea",
  dim: "#7d8793",
}

const [out, ...parts] = process.argv.slice(2)
if (out === undefined || parts.length === 0) {
  console.error("usage: node scripts/terminal-picture.mjs OUT.svg 'COMMAND=FILE' …")
  process.exit(2)
}

const lines = parts.flatMap((part, at) => {
  const split = part.lastIndexOf("=")
  const prompt = [
    { text: "$ ", fill: palette.prompt, bold: false },
    { text: part.slice(0, split), fill: palette.text, bold: true },
  ]
  return [...(at > 0 ? [[]] : []), prompt, ...screenOf(readFileSync(part.slice(split + 1), "utf8"))]
})
writeFileSync(out, picture(lines))

/** The lines of a terminal, as pieces of one style each. Cursor movements other than a return are not needed here. */
function screenOf(raw) {
  const text = raw
    .replace(/\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g, "")
    .replace(/\u001b\[[0-9;?]*[A-Za-ln-z]/g, "")
    .replace(/\u001b[=>()][A-Z0-9]?/g, "")
    .replace(/\^C/g, "")
  let style = { bold: false, dim: false, colour: undefined }
  const rows = text.split(/\r*\n/).map((row) => {
    const pieces = []
    // What a carriage return overwrites is not seen.
    for (const match of row.slice(row.lastIndexOf("\r") + 1).matchAll(/\u001b\[([0-9;]*)m|([^\u001b]+)/g)) {
      if (match[2] === undefined) for (const code of match[1].split(";")) style = styled(style, Number(code))
      else pieces.push({ text: match[2], fill: fillOf(style), bold: style.bold })
    }
    return pieces
  })
  while (rows.length > 0 && rows.at(-1).length === 0) rows.pop()
  while (rows.length > 0 && rows[0].length === 0) rows.shift()
  return rows
}

function styled(style, code) {
  if (code === 0) return { bold: false, dim: false, colour: undefined }
  if (code === 1) return { ...style, bold: true }
  if (code === 2) return { ...style, dim: true }
  if (code === 22) return { ...style, bold: false, dim: false }
  if (code === 39) return { ...style, colour: undefined }
  if (code >= 30 && code <= 37) return { ...style, colour: code }
  return style
}

function fillOf({ dim, colour }) {
  return (colour === undefined ? undefined : palette[colour]) ?? (dim ? palette.dim : palette.text)
}

function picture(rows) {
  const width = Math.round(columns * cell.width + 2 * margin)
  const height = Math.round(bar + rows.length * cell.height + 2 * margin - 6)
  const dots = ["#ff5f57", "#febc2e", "#28c840"].map(
    (fill, at) => `<circle cx="${22 + at * 20}" cy="${bar / 2}" r="6" fill="${fill}"/>`,
  )
  const body = rows.flatMap((row, at) => {
    const y = round(bar + margin + at * cell.height + 8)
    let column = 0
    return row.flatMap(({ text, fill, bold }) => {
      const from = column
      column += [...text].length
      return drawn(text, from, y, fill, bold)
    })
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<rect width="${width}" height="${height}" rx="10" fill="${palette.background}"/>
<path d="M0 10a10 10 0 0 1 10-10h${width - 20}a10 10 0 0 1 10 10v${bar - 10}H0z" fill="${palette.bar}"/>
${dots.join("\n")}
<g font-family="${font}" font-size="14" xml:space="preserve">
${body.join("\n")}
</g>
</svg>
`
}

/** Frames are drawn as lines, because fonts leave gaps between them; words keep their columns whatever the font. */
function drawn(text, from, y, fill, bold) {
  const found = []
  for (const match of text.matchAll(/[─│┌┐└┘]+|(?:(?! {2})[^─│┌┐└┘])+/g)) {
    const start = from + Array.from(text.slice(0, match.index)).length
    const x = margin + start * cell.width
    if (/[─│┌┐└┘]/.test(match[0]))
      for (let at = 0; at < match[0].length; at++) found.push(boxPart(match[0][at], x + at * cell.width, y))
    else if (match[0].trim() !== "") {
      const lead = match[0].length - match[0].trimStart().length
      const word = match[0].trim()
      const length = round([...word].length * cell.width)
      const weight = bold ? ' font-weight="bold"' : ""
      found.push(
        `<text x="${round(x + lead * cell.width)}" y="${y}" fill="${fill}"${weight} textLength="${length}" lengthAdjust="spacing">${escaped(word)}</text>`,
      )
    }
  }
  return found
}

function boxPart(character, x, baseline) {
  const top = baseline - 14
  const middle = top + cell.height / 2
  const centre = x + cell.width / 2
  const right = x + cell.width
  const bottom = top + cell.height
  const paths = {
    "─": `M${round(x)} ${middle}H${round(right)}`,
    "│": `M${round(centre)} ${top}V${bottom}`,
    "┌": `M${round(right)} ${middle}H${round(centre)}V${bottom}`,
    "┐": `M${round(x)} ${middle}H${round(centre)}V${bottom}`,
    "└": `M${round(right)} ${middle}H${round(centre)}V${top}`,
    "┘": `M${round(x)} ${middle}H${round(centre)}V${top}`,
  }
  return `<path d="${paths[character]}" stroke="${palette.dim}" fill="none"/>`
}

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")
}

function round(number) {
  return Math.round(number * 10) / 10
}
