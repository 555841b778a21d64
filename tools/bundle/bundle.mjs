// One front end for each lab: node bundle.mjs FOLDER OUT
// A lab is a module of FOLDER that stands beside a .py of the same name. It imports what it needs,
// stylesheets included; OUT gets one .js and one .css of each, as a page carries them.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const [folder, out] = process.argv.slice(2);
const labs = readdirSync(folder).filter((name) => name.endsWith(".js") && existsSync(join(folder, name.replace(/js$/, "py"))));

await build({
  absWorkingDir: folder,
  entryPoints: labs,
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2023",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
