// Answers at once: what the runtime itself can do with these requests.

export default {
  fetch() {
    return new Response("ok");
  },
};
