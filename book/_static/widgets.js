// Brings the page's anywidgets to life without a kernel: it reads the state that the build wrote
// into the page and hands each widget's own module a model. A classic script, for file:// too.
(() => {
  const read = (type) =>
    [...document.querySelectorAll(`script[type="application/vnd.jupyter.widget-${type}+json"]`)]
      .map((script) => ({ script, json: JSON.parse(script.textContent) }));

  const states = Object.assign({}, ...read("state").map(({ json }) => json.state));
  const modules = {}; // by source: two labs on a page share one module and one stylesheet

  function load({ _esm, _css }) {
    return (modules[_esm] ??= (async () => {
      const style = document.createElement("style");
      style.textContent = _css ?? "";
      document.head.append(style);
      const url = URL.createObjectURL(new Blob([_esm], { type: "text/javascript" }));
      try {
        const { default: widget } = await import(url);
        return typeof widget === "function" ? await widget() : widget;
      } finally {
        URL.revokeObjectURL(url);
      }
    })());
  }

  /** The part of a Jupyter widget model that a module uses; saving has nowhere to go. */
  function createModel(state) {
    const bus = new EventTarget();
    const listeners = new Map();
    return {
      get: (key) => state[key],
      set(key, value) {
        if (state[key] === value) return;
        state[key] = value;
        bus.dispatchEvent(new Event(`change:${key}`));
        bus.dispatchEvent(new Event("change"));
      },
      on(name, handler) {
        listeners.set(handler, () => handler());
        bus.addEventListener(name, listeners.get(handler));
      },
      off: (name, handler) => bus.removeEventListener(name, listeners.get(handler)),
      save_changes() {},
      send() {},
    };
  }

  async function mount(script, id, place) {
    const el = document.createElement("div");
    script.before(el);
    try {
      const state = states[id].state;
      if (!state._esm) throw new Error("it needs a running kernel");
      const widget = await load(state);
      const model = createModel(state);
      const ends = [await widget.initialize?.({ model }), await widget.render({ model, el, live: false, place })];
      el.closest(".widget")?.replaceChildren(el); // the still picture has done its work
      addEventListener("pagehide", ({ persisted }) => persisted || ends.forEach((end) => end?.()));
    } catch (error) {
      el.setAttribute("role", "alert");
      el.textContent = `This widget could not start: ${error.message}`;
      console.warn(error);
    }
  }

  let place = 0; // a link means a lab by its place in the document; they are mounted in any order
  for (const { script, json: { model_id: id } } of read("view")) mount(script, id, states[id]?.state._esm ? place++ : -1);
})();
