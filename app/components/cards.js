const { paintBlend, blended, cssColour, onThemeChange, whenItRests } = window.unnoise;
const root = element.querySelector('.cards');
const here = scene(root.dataset.scene);
const LEVEL = 1 / 32;   // 256 levels over [−4, 4]: an 8-bit picture of x_t that clips nothing
const BARS = 64;
const WIDEST = 20;      // beyond ± this, values are counted at the end
const TOP = 0.85;       // N(0, 1) peaks at 0.40; a photograph's own peaks may be cut off
const WRONG = say('β scaling left out: not a diffusion model’s process');
const WRITE_MS = 40;    // nobody reads numbers faster; to lay them out costs more than all pictures
let cards = [], barColour = '', normal = null, writing = 0, writtenAt = 0;

function entropy(counts, total) {
  let bits = 0;
  for (const count of counts) {
    if (count) bits -= count / total * Math.log2(count / total);
  }
  return bits;
}

function dash(schedule) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('width', '30');
  svg.setAttribute('height', '10');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  const set = { x1: 0, x2: 30, y1: 5, y2: 5, 'stroke-width': 3, 'stroke-dasharray': schedule.dashArray };
  for (const [name, value] of Object.entries(set)) line.setAttribute(name, value);
  line.style.stroke = `var(${schedule.colour})`;
  svg.append(line);
  return svg;
}

// Whatever follows t is written into a text node of its own: no element comes or goes in a drag.
function number(tag, className = '') {
  const text = document.createTextNode('');
  return { text, node: make(tag, { className }, text) };
}

function build(schedule, data) {
  const canvas = (className, width, height) => make('canvas', { className, width, height });
  const figure = (className, picture, label) =>
    make('figure', { className }, picture, make('figcaption', {}, symbol(label)));
  // x_0 and ε stay as they are: images, since every further canvas costs the browser time a frame.
  const still = (a, b) => make('img', { src: blended(data, a, b).toDataURL(), alt: '' });
  const card = {
    schedule,
    picture: canvas('picture', data.width, data.height),
    thumb: canvas('', data.width, data.height),
    histogram: canvas('histogram', 320, 64),
    t: number('dd'), snr: number('dd'), signal: number('dd', 'signal'), noise: number('dd', 'noise'),
    a: number('span', 'signal'), b: number('span', 'noise'), entropy: number('b'),
    counts: new Uint32Array(2 * WIDEST / LEVEL),
  };
  card.picture.setAttribute('role', 'img');
  card.histogram.setAttribute('aria-hidden', 'true');
  card.thumb.setAttribute('aria-hidden', 'true'); // the picture once more
  card.large = card.picture.getContext('2d');
  card.small = card.thumb.getContext('2d');
  card.image = card.large.createImageData(data.width, data.height);
  const fact = (label, value, className = '') => [make('dt', { className }, symbol(label)), value.node];
  card.node = make('article', { className: 'card' },
    make('h3', {}, dash(schedule), schedule.title),
    here.unscaled ? make('p', { className: 'wrong' }, WRONG) : null,
    card.picture,
    make('dl', {},
      ...fact('t', card.t), ...fact('SNR', card.snr),
      ...fact('√ᾱ_t', card.signal, 'signal'), ...fact('√(1−ᾱ_t)', card.noise, 'noise')),
    make('div', { className: 'equation' },
      make('div', {}, figure('', card.thumb, 'x_t'), '=', card.a.node, '·',
        figure('signal', still(1, 0), 'x_0')),
      make('div', {}, '+', card.b.node, '·', figure('noise', still(0, 1), 'ε'))),
    make('div', { className: 'spread' }, card.histogram,
      make('div', { className: 'ends' },
        make('span', {}, `−${range()}`), say('pixel value'), make('span', {}, String(range())))),
    make('div', { className: 'entropy' }, make('span', {}, say('entropy')), card.entropy.node));
  return card;
}

const range = () => (here.unscaled ? 10 : 4);
const heightOf = (density, height) => Math.min(1, density / TOP) * (height - 2);

// N(0, 1) does not follow t either: drawn once, and copied into each frame.
function drawNormal({ width, height }) {
  const canvas = make('canvas', { width, height });
  const context = canvas.getContext('2d');
  context.strokeStyle = cssColour('--noise');
  context.lineWidth = 2.5;
  for (let pixel = 0; pixel <= width; pixel += 2) {
    const value = (pixel / width * 2 - 1) * range();
    const density = Math.exp(-value * value / 2) / Math.sqrt(2 * Math.PI);
    context.lineTo(pixel, height - heightOf(density, height));
  }
  context.stroke();
  return canvas;
}

function drawHistogram({ histogram, counts }, total) {
  const context = histogram.getContext('2d');
  const { width, height } = histogram;
  const perBar = 2 * range() / LEVEL / BARS;
  const first = counts.length / 2 - range() / LEVEL;
  const barWidth = width / BARS;
  context.clearRect(0, 0, width, height);
  context.fillStyle = barColour;
  for (let bar = 0; bar < BARS; bar++) {
    let count = 0;
    for (let level = 0; level < perBar; level++) count += counts[first + bar * perBar + level];
    const tall = heightOf(count / total / (perBar * LEVEL), height);
    context.fillRect(bar * barWidth, height - tall, barWidth - 1, tall);
  }
  context.drawImage(normal, 0, 0);
}

function draw({ data, unscaled }, fresh) {
  if (fresh) {
    cards = data.schedules.map(schedule => build(schedule, data));
    root.replaceChildren(...cards.map(card => card.node));
    root.classList.toggle('many', cards.length > 3);
    root.classList.toggle('unscaled', unscaled);
    colour();
  }
  for (const card of cards) {
    const [a, b] = here.coefficients(card.schedule, here.timeOf(card.schedule));
    paintBlend(card.image, data, a, b, card.counts, LEVEL);
    card.large.putImageData(card.image, 0, 0);
    card.small.putImageData(card.image, 0, 0);
    drawHistogram(card, data.x0.length);
  }
  clearTimeout(writing); // within this frame, or once when the drag rests: a frame of their own costs
  if (fresh || performance.now() - writtenAt > WRITE_MS) write();
  else writing = setTimeout(write, WRITE_MS);
  if (fresh) describe(); // no picture stands there without a name
  else describeAtRest();
}

function write() {
  writtenAt = performance.now();
  const total = here.data.x0.length;
  for (const card of cards) {
    const t = here.timeOf(card.schedule);
    const [a, b] = here.coefficients(card.schedule, t);
    card.t.text.data = t;
    card.a.text.data = decimal(a);
    card.b.text.data = decimal(b);
    card.signal.text.data = decimal(card.schedule.signal[t]);
    card.noise.text.data = decimal(card.schedule.noise[t]);
    card.snr.text.data = `${decimal(card.schedule.snrDecibels[t], 1)} dB`;
    card.entropy.text.data = `${entropy(card.counts, total).toFixed(2)} bit`;
  }
}

function describe() {
  for (const { schedule, picture } of cards) {
    const t = here.timeOf(schedule);
    picture.setAttribute('aria-label', say('{0}: the picture at t = {1}', schedule.title, t));
  }
}

const describeAtRest = whenItRests(describe);

function colour() {
  barColour = cssColour('--muted');
  if (cards.length) normal = drawNormal(cards[0].histogram);
}

here.on(root, draw);
onThemeChange(() => { colour(); if (cards.length) draw(here, false); });
