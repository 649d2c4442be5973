// Bundles the bot's page into `dist/`, which the Worker serves as its static assets.
//
// Plain file names: assets are revalidated by their ETag, and a page that is opened once per meeting gains nothing
// from a cache that outlives a deploy.

import { cp, mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await rm(here("dist"), { recursive: true, force: true });
await mkdir(here("dist/bot"), { recursive: true });
await build({
  // The worklets are programs of their own, loaded by the sound thread.
  entryPoints: {
    main: here("bot/main.ts"),
    "speech.worklet": here("bot/sound/speech.worklet.ts"),
    "microphone.worklet": here("bot/sound/microphone.worklet.ts"),
    style: here("bot/style.css"),
  },
  outdir: here("dist/bot"),
  bundle: true,
  format: "esm",
  target: "chrome120",
  minify: true,
  // Licences of what is bundled travel with it.
  legalComments: "eof",
  logLevel: "warning",
});
await cp(here("bot/index.html"), here("dist/bot/index.html"));
await cp(here("_headers"), here("dist/_headers"));
