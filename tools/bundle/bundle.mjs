// One front end for each lab: node bundle.mjs FOLDER OUT
// A lab is a module of FOLDER that stands beside a .py of the same name, or the first stage of
// LayerNormLab, which is a front end of its own. It imports what it needs,
// stylesheets included; OUT gets one .js and one .css of each, as a page carries them. esbuild joins
// the modules and leaves out what a lab does not use; terser names what is left so that it compresses.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { minify } from "terser";

const [folder, out] = process.argv.slice(2);
const labs = [...readdirSync(folder).filter((name) => name.endsWith(".js") && existsSync(join(folder, name.replace(/js$/, "py")))), "statistics.js"];

const { outputFiles } = await build({
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
  write: false,
});

mkdirSync(out, { recursive: true });
for (const { path, text } of outputFiles) {
  const unindented = text.replace(/>\n +</g, ">\n<"); // the HTML in it
  const { code } = path.endsWith(".js")
    ? await minify(unindented, { module: true, ecma: 2020, compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true } })
    : { code: text };
  writeFileSync(path, code);
}
