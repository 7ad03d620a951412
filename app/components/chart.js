const { cssColour, onThemeChange } = window.unnoise;
const root = element.querySelector('.chart');
const here = scene(root.dataset.scene);
const plot = root.querySelector('.plot');
const cursor = root.querySelector('.cursor');
const narrow = window.matchMedia('(max-width: 560px)');
let visible = false, drawn = false;

// plotly.js is 4.8 MB: fetched once, and only when a chart comes into view.
function plotly() {
  const address = (window.gradio_config?.root ?? '').replace(/\/$/, '') + root.dataset.library;
  window.unnoise.plotly ??= new Promise((resolve, reject) => {
    const script = make('script', { src: address, onload: () => resolve(window.Plotly), onerror: reject });
    document.head.append(script);
  });
  return window.unnoise.plotly;
}

// "--name" stands for a colour of the theme, anywhere in the figure.
function themed(part) {
  if (typeof part === 'string') return part.startsWith('--') ? cssColour(part) : part;
  if (Array.isArray(part)) return part.map(themed);
  if (part && typeof part === 'object') {
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, themed(value)]));
  }
  return part;
}

async function render() {
  if (!visible || !props.value) return;
  const library = await plotly();
  const { data, layout } = themed(JSON.parse(JSON.stringify(props.value)));
  if (narrow.matches) layout.margin = { ...layout.margin, l: 44 };
  await library.react(plot, data, layout, {
    responsive: true, displaylogo: false,
    modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'],
  });
  if (!drawn) plot.on('plotly_relayout', moveCursor);
  drawn = true;
  moveCursor();
}

function moveCursor() {
  const axes = plot._fullLayout;
  const value = props.value;
  if (!drawn || !axes?.xaxis || !value?.cursor || !here.data) return;
  const x = { fraction: here.t / here.T, time: here.data.times?.[here.t] }[value.cursor] ?? here.t;
  const offset = axes.xaxis.d2p(x);
  cursor.hidden = !(offset >= 0 && offset <= axes.xaxis._length);
  cursor.style.height = `${axes.yaxis._length}px`; // transform alone changes in a drag
  cursor.style.transform = `translate(${axes.xaxis._offset + offset - 1}px, ${axes.yaxis._offset}px)`;
}

here.on(root, moveCursor);
watch('value', render);
onThemeChange(render);
narrow.addEventListener('change', render);
new ResizeObserver(() => requestAnimationFrame(moveCursor)).observe(root);
new IntersectionObserver(entries => {
  const now = entries.some(entry => entry.isIntersecting);
  if (now && !visible) { visible = true; render(); }
}, { rootMargin: '200px' }).observe(root);
