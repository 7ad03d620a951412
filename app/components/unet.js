const { paintFrame } = window.unnoise;
const root = element.querySelector('.unet');
const here = scene(root.dataset.scene);
const [tools, scroll, inside] = ['.tools', '.scroll', '.inside'].map(name => root.querySelector(name));
const SVG = 'http://www.w3.org/2000/svg';
const WIDE = 78, TALL = 118, GAP = 26, DROP = 132, PICTURE = 62, MARGIN = 14;
const ROLES = { input: 'signal', output: 'belief' };
let nodes = {}, lane = 0, cut = 'nothing', chosen = null, result = null, sourceShown = false, opening = false;

const svg = (tag, set = {}, ...children) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(set)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const size = ([c, h, w]) => `${c} × ${h} × ${w}`;
const thousands = n => n.toLocaleString('en');

// Blocks stand from left to right as they are passed, and as deep as they are small.
function place(blocks) {
  return blocks.map((block, i) => ({ x: MARGIN + i * (WIDE + GAP), y: 40 + block.level * DROP }));
}

function build(data) {
  const { blocks } = data;
  const at = place(blocks);
  const deepest = Math.max(...blocks.map(block => block.level));
  const width = 2 * MARGIN + blocks.length * (WIDE + GAP) - GAP, height = 40 + (deepest + 1) * DROP + 10;
  nodes = {};
  const drawing = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': say('U-Net with {0} blocks and {1} parameters', blocks.length, thousands(data.parameters)) });
  drawing.style.minWidth = `${Math.max(720, width * 0.62)}px`;
  const index = Object.fromEntries(blocks.map((block, i) => [block.name, i]));

  // The way through, then the skips above it.
  for (let i = 1; i < blocks.length; i++) {
    const [from, to] = [at[i - 1], at[i]];
    drawing.append(svg('path', { class: 'way', d: `M ${from.x + WIDE} ${from.y + 40} C ${from.x + WIDE + 16} ${from.y + 40}, ${to.x - 16} ${to.y + 40}, ${to.x} ${to.y + 40}` }));
  }
  for (const block of blocks.filter(b => b.skip_from)) {
    const from = at[index[block.skip_from]], to = at[index[block.name]], y = from.y - 12;
    const skip = svg('path', { class: 'skip', d: `M ${from.x + WIDE / 2} ${from.y} V ${y} H ${to.x + WIDE / 2} V ${to.y}` }, svg('title'));
    skip.firstChild.textContent = say('skip connection from {0} to {1}', block.skip_from, block.name);
    skip.dataset.level = block.level;
    drawing.append(skip);
    const label = svg('text', { class: 'skip-label', x: (from.x + to.x + WIDE) / 2, y: y - 4, 'text-anchor': 'middle' });
    label.textContent = say('skip, level {0}', block.level);
    drawing.append(label);
  }
  blocks.forEach((block, i) => drawing.append(box(block, at[i], Boolean(data.x))));
  scroll.replaceChildren(drawing);
  buildTools(data);
}

function box(block, { x, y }, alive) {
  const group = svg('g', { class: `block ${block.kind} ${ROLES[block.kind] ?? ''}`, tabindex: 0, role: 'button', 'aria-expanded': 'false', transform: `translate(${x}, ${y})` });
  const title = svg('title');
  title.textContent = `${block.name}, ${block.kind}: ${size(block.input_shape)} to ${size(block.output_shape)}, ${thousands(block.parameters)} parameters`;
  group.setAttribute('aria-label', title.textContent);
  const text = (content, top, name) => {
    const node = svg('text', { x: WIDE / 2, y: top, 'text-anchor': 'middle', class: name });
    node.textContent = content;
    return node;
  };
  const image = svg('image', { x: (WIDE - PICTURE) / 2, y: 6, width: PICTURE, height: PICTURE, 'aria-hidden': 'true' });
  const embedded = ['downsample', 'upsample'].includes(block.kind);
  group.append(title, svg('rect', { width: WIDE, height: TALL, rx: 8 }));
  if (alive) group.append(image);
  group.append(text(block.name.replace('_attention', ' att.'), alive ? 81 : 40, 'name'),
    text(block.output_shape.join('×'), 95, 'shape'), text(thousands(block.parameters), 109, 'count'));
  if (embedded) group.append(svg('circle', { class: 'emb', cx: WIDE - 6, cy: TALL - 6, r: 5 }));
  const open = () => choose(block);
  group.addEventListener('click', open);
  group.addEventListener('keydown', event => {
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); open(); }
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...scroll.querySelectorAll('.block')];
    all[all.indexOf(group) + step]?.focus();
  });
  nodes[block.name] = { group, image };
  return group;
}

function choice(label, options, value, pick) {
  const select = make('select', {}, ...options.map(([key, text]) => make('option', { value: key, selected: key === value }, text)));
  select.setAttribute('aria-label', label);
  select.addEventListener('change', () => pick(select.value));
  return make('label', {}, make('span', {}, label), select);
}

function buildTools(data) {
  tools.hidden = !data.x;
  if (!data.x) return;
  const levels = Object.keys(data.cuts).filter(key => !['nothing', 'all'].includes(key));
  const count = Math.max(...Object.values(data.maps).map(map => map.names.length)) - (data.chosen ? 1 : 0);
  const lanes = Array.from({ length: count }, (_, i) => [String(i), i ? say('strongest channel {0}', i) : say('mean of the channels')]);
  if (data.chosen) lanes.push(['chosen', say('{0}: channel {1}, else the mean', ...data.chosen)]);
  lane = data.chosen ? 'chosen' : lane === 'chosen' ? 0 : lane;
  cut = data.cuts[cut] ? cut : 'nothing';
  result = { x: picture(data, 'x_t'), kept: picture(data, 'x̂_0', 'belief'), cut: picture(data, say('x̂_0 with the cut'), 'belief') };
  tools.replaceChildren(
    choice(say('each block shows'), lanes, String(lane), value => { lane = value === 'chosen' ? value : Number(value); draw(here, false); }),
    choice(say('cut'), [['nothing', say('no skip')], ...levels.map(level => [level, say('the skip of level {0}', level)]), ['all', say('all skips')]], cut,
      value => { cut = value; draw(here, false); }),
    make('div', { className: 'results' }, result.x.node, result.kept.node, result.cut.node));
}

function picture(data, label, role = '') {
  const canvas = make('canvas', { width: data.width, height: data.height });
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', label);
  const context = canvas.getContext('2d');
  const image = context.createImageData(data.width, data.height);
  const node = make('figure', { className: role }, canvas, make('figcaption', {}, symbol(label)));
  return { node, paint: (frames, at) => { paintFrame(image, frames, at, data.channels); context.putImageData(image, 0, 0); } };
}

const scratch = make('canvas');
function mapUrl(map, which, at, moments) {
  scratch.width = map.width;
  scratch.height = map.height;
  const context = scratch.getContext('2d');
  const image = context.createImageData(map.width, map.height);
  paintFrame(image, map.pixels, Math.min(which, map.names.length - 1) * moments + at, 1);
  context.putImageData(image, 0, 0);
  return scratch.toDataURL();
}

function draw({ data, t }, fresh) {
  if (fresh) { build(data); if (chosen) { choose(data.blocks.find(block => block.name === chosen), !opening); opening = false; } }
  if (!data.x) return;
  for (const block of data.blocks) {
    const map = data.maps[block.name];
    const which = lane !== 'chosen' ? lane : block.name === data.chosen[0] ? map.names.length - 1 : 0;
    nodes[block.name].image.setAttribute('href', mapUrl(map, which, t, data.times.length));
  }
  result.x.paint(data.x, t);
  result.kept.paint(data.cuts.nothing, t);
  result.cut.paint(data.cuts[cut], t);
  for (const skip of scroll.querySelectorAll('.skip')) skip.classList.toggle('cut', cut === 'all' || cut === skip.dataset.level);
}

// A click on a block opens its inside; a further click, its formula and the lines that do it.
function choose(block, again = false) {
  chosen = block?.name ?? null;
  for (const [name, { group }] of Object.entries(nodes)) group.setAttribute('aria-expanded', String(name === chosen));
  if (!block) { inside.replaceChildren(); return; }
  if (!again) trigger('opened', { block: block.name });
  const { formula, source } = here.data.kinds[block.kind];
  const steps = block.inside.map(({ name, shape, note }) => make('li', {}, make('b', {}, name),
    make('code', {}, shape.join(' × ')), note ? make('small', {}, note) : null));
  const details = make('details', { open: sourceShown }, make('summary', {}, say('Formula and source')),
    make('p', { className: 'formula' }, symbol(formula)), make('pre', {}, make('code', {}, source)));
  details.addEventListener('toggle', () => { sourceShown = details.open; });
  inside.replaceChildren(make('section', {},
    make('h4', {}, block.name, make('small', {}, `${block.kind} · ${size(block.input_shape)} → ${size(block.output_shape)} · ${say('{0} parameters', thousands(block.parameters))}`)),
    make('ol', {}, ...steps), details));
}

const anew = () => { if (here.data) draw(here, true); };
here.keep('shows', () => (Number(lane) > 0 ? Number(lane) : undefined), value => { lane = value; anew(); });
here.keep('cut', () => (cut === 'nothing' ? undefined : cut), value => { cut = value; anew(); });
here.keep('open', () => chosen ?? undefined, value => {
  chosen = value;
  opening = true; // its channels come with the data
  anew();
});
here.on(root, draw);
