// Where the address names settings of this tab, Python reads them before anything is computed:
// runtime.js lets this view speak in place of the events that otherwise open the tab.
const { linked } = window.unnoise;
const node = element.querySelector('[data-place]');

if (linked === node.dataset.place) {
  let arrived = false;
  watch('value', () => {
    if (arrived || !props.value) return;
    arrived = true;
    for (const [name, settings] of Object.entries(props.value.scenes)) scene(name).arrive(settings);
    requestAnimationFrame(() => requestAnimationFrame(() => {
      trigger('opened');
      again();
    }));
  });
  trigger('linked', { query: window.location.search });
}

// … and tells, as those would, whenever somebody comes back to the tab.
function again() {
  const panel = node.closest('[role=tabpanel]');
  let here = true;
  new ResizeObserver(() => {
    const now = panel.getClientRects().length > 0;
    if (now && !here) trigger('opened');
    here = now;
  }).observe(panel);
}
