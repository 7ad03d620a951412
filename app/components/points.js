const root = element.querySelector('.points');
const svg = root.querySelector('svg');
const [grid, curve, handles] = ['.grid', '.curve', '.handles'].map(name => svg.querySelector(name));
const [add, remove, output] = ['.add', '.remove', 'output'].map(name => root.querySelector(name));
const LEFT = 34, TOP = 10, WIDTH = 312, HEIGHT = 200; // the plot within the 360 × 254 picture
const GAP_U = 0.01, GAP_A = 0.002, LOWEST = 0.0001, MOST = 12;
let points = [], chosen = 1;

const node = (tag, attributes, text = '') => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
};
const x = u => LEFT + u * WIDTH;
const y = a => TOP + (1 - a) * HEIGHT;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const movable = index => index > 0;

// A point stays between its neighbours, so whatever is drawn falls from left to right.
function move(index, u, a) {
  const before = points[index - 1], after = points[index + 1];
  points[index] = [
    after ? clamp(u, before[0] + GAP_U, after[0] - GAP_U) : 1,
    clamp(a, after ? after[1] + GAP_A : LOWEST, before[1] - GAP_A),
  ];
}

function drawGrid() {
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    grid.append(
      node('line', { x1: x(value), x2: x(value), y1: y(0), y2: y(1) }),
      node('line', { x1: x(0), x2: x(1), y1: y(value), y2: y(value) }),
      node('text', { x: x(value), y: y(0) + 20, 'text-anchor': 'middle' }, String(value)),
      node('text', { x: x(0) - 10, y: y(value) + 3, 'text-anchor': 'end' }, String(value)));
  }
  grid.append(node('text', { x: x(0.5), y: 250, 'text-anchor': 'middle' }, 't / T'),
    node('text', { x: 0, y: y(0.62) }, 'ᾱ'));
}

function draw(line = points) {
  curve.setAttribute('d', line.map(([u, a], i) => `${i ? 'L' : 'M'}${x(u)},${y(a)}`).join(''));
  if (handles.children.length !== points.length) {
    handles.replaceChildren(...points.map((_, index) => handle(index)));
  }
  points.forEach(([u, a], index) => {
    const dot = handles.children[index];
    dot.setAttribute('cx', x(u));
    dot.setAttribute('cy', y(a));
    dot.classList.toggle('chosen', index === chosen && movable(index));
    dot.setAttribute('aria-valuenow', a.toFixed(4));
    dot.setAttribute('aria-valuetext', say('t/T = {0}, alpha bar = {1}', u.toFixed(2), a.toFixed(4)));
  });
  const [u, a] = points[chosen] ?? points[0];
  output.textContent = `t/T = ${u.toFixed(2)}  ᾱ = ${a.toFixed(4)}`;
  remove.disabled = chosen <= 0 || chosen >= points.length - 1;
  add.disabled = points.length >= MOST;
}

function handle(index) {
  const dot = node('circle', { r: 8 });
  if (!movable(index)) { dot.classList.add('fixed'); return dot; }
  const set = { tabindex: 0, role: 'slider', 'aria-label': say('Control point {0}', index), 'aria-valuemin': 0, 'aria-valuemax': 1 };
  for (const [name, value] of Object.entries(set)) dot.setAttribute(name, value);
  dot.addEventListener('focus', () => { chosen = index; draw(); });
  dot.addEventListener('pointerdown', event => {
    chosen = index;
    dot.setPointerCapture(event.pointerId);
    draw();
  });
  dot.addEventListener('pointermove', event => {
    if (!dot.hasPointerCapture(event.pointerId)) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    move(index, (at.x - LEFT) / WIDTH, 1 - (at.y - TOP) / HEIGHT);
    draw();
  });
  dot.addEventListener('pointerup', tell);
  dot.addEventListener('keydown', event => {
    const step = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, 0.01], ArrowDown: [0, -0.01] }[event.key];
    if (event.key === 'Delete' && !remove.disabled) return removeChosen();
    if (!step) return undefined;
    event.preventDefault();
    const [u, a] = points[index];
    move(index, u + step[0], a + step[1]);
    draw();
    return tell();
  });
  return dot;
}

function tell() {
  const short = value => Math.round(value * 1e4) / 1e4; // what an address can hold
  trigger('edited', { points: points.map(point => point.map(short)) });
}

function removeChosen() {
  points.splice(chosen, 1);
  chosen = Math.min(chosen, points.length - 1);
  draw();
  tell();
}

add.addEventListener('click', () => {
  // Into the widest gap that still has room on both axes.
  let widest = -1, at = 0;
  for (let i = 0; i + 1 < points.length; i++) {
    const gap = points[i + 1][0] - points[i][0];
    const room = points[i][1] - points[i + 1][1] > 2 * GAP_A && gap > 2 * GAP_U;
    if (room && gap > widest) { widest = gap; at = i; }
  }
  if (widest < 0) return;
  const [before, after] = [points[at], points[at + 1]];
  points.splice(at + 1, 0, [(before[0] + after[0]) / 2, (before[1] + after[1]) / 2]);
  chosen = at + 1;
  draw();
  tell();
});
remove.addEventListener('click', removeChosen);

function load() {
  if (!props.value?.points) return;
  points = props.value.points.map(([u, a]) => [u, a]);
  draw(props.value.curve ?? points);
}

drawGrid();
watch('value', load);
load();
