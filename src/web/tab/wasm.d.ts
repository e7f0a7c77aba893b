/** Bundled as files of their own; what is imported is where they are. */
declare module "*.wasm" {
  const path: string
  export default path
}
