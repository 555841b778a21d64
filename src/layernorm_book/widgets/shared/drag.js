/**
 * The handles of a plot, taken with a pointer. A handle stands where the state puts it; a drag sets
 * the value of the range beside it and says so as the range itself would, with `input` and `change`.
 * A mouse may press anywhere in a handle's column, a finger takes the handle: beside it a swipe scrolls.
 */
export function letDrag(root) {
  let held = null; // the range, its plot, and how far from the handle's middle it was taken

  const part = (event) => event.target.closest?.(".ln-plot label");
  const say = (type) => held.range.dispatchEvent(new Event(type, { bubbles: true }));

  function move({ clientY }) {
    const { range, plot, off } = held;
    const { top, height } = plot.getBoundingClientRect();
    const [min, max, before] = [+range.min, +range.max, range.value];
    range.value = max - ((clientY - off - top) / height) * (max - min);
    if (range.value !== before) say("input");
  }

  function letGo() {
    say("change");
    held = null;
  }

  root.addEventListener("pointerdown", (event) => {
    const label = part(event);
    const onHandle = event.target.matches?.(".ln-handle");
    if (held || !label || event.button || (event.pointerType === "touch" && !onHandle)) return;
    const { top, height } = label.querySelector(".ln-handle").getBoundingClientRect();
    held = {
      id: event.pointerId, range: label.querySelector("input"), plot: label.parentElement,
      off: onHandle ? event.clientY - top - height / 2 : 0,
    };
    held.range.focus({ preventScroll: true });
    label.setPointerCapture(event.pointerId);
    if (!onHandle) move(event);
  });
  root.addEventListener("pointermove", (event) => held?.id === event.pointerId && move(event));
  for (const type of ["pointerup", "pointercancel"]) root.addEventListener(type, ({ pointerId }) => held?.id === pointerId && letGo());
  // Else a press would take the focus from the range, and a drag would select text.
  root.addEventListener("mousedown", (event) => part(event) && event.preventDefault());
}
