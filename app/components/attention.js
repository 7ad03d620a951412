const { paintFrame } = window.unnoise;
const root = element.querySelector('.attention');
const here = scene(root.dataset.scene);
let block = null, pixel = null, parts = null;

function build(data) {
  const names = Object.keys(data.attention);
  parts = null;
  if (!names.length) { root.replaceChildren(make('p', {}, data.x ? say('This network has no attention.') : say('Without weights there is no attention to look at.'))); return; }
  if (!names.includes(block)) block = names[0];
  const part = data.attention[block];
  if (pixel === null || pixel >= part.side ** 2) pixel = Math.floor(part.side / 2) * (part.side + 1);
  const select = make('select', {}, ...names.map(name => make('option', { value: name, selected: name === block }, name)));
  select.setAttribute('aria-label', say('attention block'));
  select.addEventListener('change', () => { block = select.value; pixel = null; draw(here, true); });
  const input = make('canvas', { width: data.width, height: data.height, tabIndex: 0, className: 'input' });
  input.setAttribute('role', 'application');
  const heads = Array.from({ length: part.heads }, (_, i) => {
    const canvas = make('canvas', { width: part.side, height: part.side });
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', say('head {0}: where the pixel looks, white the most', i + 1));
    return { canvas, node: make('figure', {}, canvas, make('figcaption', {}, say('head {0}', i + 1))) };
  });
  const move = (column, row) => {
    const keep = value => Math.min(part.side - 1, Math.max(0, value));
    pixel = keep(row) * part.side + keep(column);
    draw(here, false);
  };
  input.addEventListener('click', event => {
    const box = input.getBoundingClientRect();
    move(Math.floor((event.clientX - box.left) / box.width * part.side), Math.floor((event.clientY - box.top) / box.height * part.side));
  });
  input.addEventListener('keydown', event => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    move(pixel % part.side + by[0], Math.floor(pixel / part.side) + by[1]);
  });
  const note = document.createTextNode('');
  root.replaceChildren(make('label', {}, make('span', {}, say('attention of')), select),
    make('div', { className: 'row' }, make('figure', { className: 'large' }, input, make('figcaption', {}, symbol(say('click a pixel of x_t')))), ...heads.map(head => head.node)),
    make('p', { className: 'note' }, note));
  parts = { part, input, heads, note };
}

function draw({ data, t }, fresh) {
  if (fresh) build(data);
  if (!parts) return;
  const { part, input, heads, note } = parts;
  const context = input.getContext('2d');
  const image = context.createImageData(data.width, data.height);
  paintFrame(image, data.x, t, data.channels);
  context.putImageData(image, 0, 0);
  const row = Math.floor(pixel / part.side), column = pixel % part.side, scale = data.width / part.side;
  context.strokeStyle = '#ffb000';
  context.lineWidth = Math.max(1, scale / 5);
  context.strokeRect(column * scale + 0.5, row * scale + 0.5, scale - 1, scale - 1);
  // Only some moments travel where there are many pixels: the nearest one.
  const near = part.moments.reduce((best, m, i) => (Math.abs(m - t) < Math.abs(part.moments[best] - t) ? i : best), 0);
  const pixels = part.side ** 2;
  heads.forEach(({ canvas }, head) => {
    const frame = canvas.getContext('2d');
    const picture = frame.createImageData(part.side, part.side);
    paintFrame(picture, part.weights, (near * part.heads + head) * pixels + pixel, 1);
    frame.putImageData(picture, 0, 0);
  });
  input.setAttribute('aria-label', say('x_t; arrow keys move the pixel, now row {0}, column {1}', row + 1, column + 1));
  note.data = say('Row {0}, column {1} of {2} × {2}, at t = {3}. White is the most it looks at.',
    row + 1, column + 1, part.side, data.times[part.moments[near]]);
}

const anew = () => { if (here.data) draw(here, true); };
here.keep('attention', () => (parts && block !== Object.keys(here.data.attention)[0] ? block : undefined), name => { block = name; anew(); });
here.keep('pixel', () => {
  if (!parts) return undefined;
  const { side } = parts.part;
  return pixel === Math.floor(side / 2) * (side + 1) ? undefined : pixel;
}, value => { pixel = value; anew(); });
here.on(root, draw);
