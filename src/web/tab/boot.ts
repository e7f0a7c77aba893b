/** The script of the boot page, behind the page agent: it shows what happens until the application's page takes its place. */

import { BootView } from "./boot-view.ts"
import type { PageState } from "./page-state.ts"
import { stateEvent } from "./page-state.ts"

const view = new BootView()
const show = () => {
  const state = window.rdv?.state as PageState | undefined
  if (state !== undefined) view.show(state)
}
document.addEventListener(stateEvent, show)
show()
