/** What is wrong with the sources of an application under development, on top of the page that the last good build shows. */

let box: HTMLElement | undefined

/** Without lines it goes away. */
export function showBuildTrouble(lines: readonly string[]): void {
  box?.remove()
  box = undefined
  if (lines.length === 0) return
  box = document.createElement("pre")
  box.setAttribute("role", "alert")
  box.dataset["rdv"] = "trouble"
  box.textContent = lines.join("\n")
  Object.assign(box.style, {
    position: "fixed",
    inset: "auto 0 0 0",
    zIndex: "2147483647",
    margin: "0",
    padding: "12px 16px",
    maxHeight: "50vh",
    overflow: "auto",
    font: "13px/1.5 ui-monospace, monospace",
    whiteSpace: "pre-wrap",
    color: "#fff",
    background: "#8b1a1a",
  })
  document.documentElement.append(box)
}
