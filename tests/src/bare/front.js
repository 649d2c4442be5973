// What wrangler's static assets do: the bot's page is a file, everything else is the Worker's. The simulated bots
// load the page and then speak its protocol themselves, so its content does not matter.

export default {
  async fetch(request, env) {
    return new URL(request.url).pathname === "/bot/"
      ? new Response("<!doctype html>", { headers: { "content-type": "text/html" } })
      : env.WORKER.fetch(request);
  },
};
