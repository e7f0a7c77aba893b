/** `npm start`: sets up what is missing and puts the sample site on a URL; `npm start -- ARGS` is `rdv ARGS`. */

import { become, mainFile } from "./run.mjs"
import { failPlainly, root, setUp } from "./setup.mjs"

const args = process.argv.slice(2)
try {
  const node = setUp()
  if (args.length === 0) become(node, mainFile, ["http", "./sample"], root)
  // npm changes to the package's folder; paths that the user gives mean the folder they typed them in.
  else become(node, mainFile, args, process.env["INIT_CWD"] ?? process.cwd())
} catch (error) {
  failPlainly(error)
}
