const { paintBlend, blendOnto, cssColour, onThemeChange } = window.unnoise;
const root = element.querySelector('.cards');
const here = scene(root.dataset.scene);
const LEVEL = 1 / 32;   // 256 levels over [−4, 4]: an 8-bit picture of x_t that clips nothing
const BARS = 64;
let cards = [];

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

function build(schedule, data) {
  const canvas = (className, width, height) => make('canvas', { className, width, height });
  const thumb = (className, label) => {
    const node = canvas(className, data.width, data.height);
    return [node, make('figure', { className }, node, make('figcaption', {}, symbol(label)))];
  };
  const card = {
    schedule,
    picture: canvas('picture', data.width, data.height),
    histogram: canvas('histogram', 320, 64),
    t: make('dd'), signal: make('dd', { className: 'signal' }),
    noise: make('dd', { className: 'noise' }), snr: make('dd'),
    a: make('span', { className: 'signal' }), b: make('span', { className: 'noise' }),
    entropy: make('b'), wrong: make('p', { className: 'wrong', hidden: true }),
    low: make('span'), high: make('span'), counts: null,
  };
  card.picture.setAttribute('role', 'img');
  card.histogram.setAttribute('aria-hidden', 'true');
  const [xt, xtFigure] = thumb('', 'x_t');
  const [x0, x0Figure] = thumb('signal', 'x_0');
  const [eps, epsFigure] = thumb('noise', 'ε');
  blendOnto(x0, data, 1, 0);
  blendOnto(eps, data, 0, 1);
  card.small = xt.getContext('2d');
  card.large = card.picture.getContext('2d');
  card.image = card.large.createImageData(data.width, data.height);
  card.wrong.textContent = 'β scaling left out: not a diffusion model’s process';
  const fact = (label, value, className = '') => [make('dt', { className }, symbol(label)), value];
  card.node = make('article', { className: 'card' },
    make('h3', {}, dash(schedule), schedule.title), card.wrong, card.picture,
    make('dl', {},
      ...fact('t', card.t), ...fact('SNR', card.snr),
      ...fact('√ᾱ_t', card.signal, 'signal'), ...fact('√(1−ᾱ_t)', card.noise, 'noise')),
    make('div', { className: 'equation' },
      make('div', {}, xtFigure, '=', card.a, '·', x0Figure),
      make('div', {}, '+', card.b, '·', epsFigure)),
    make('div', { className: 'spread' }, card.histogram,
      make('div', { className: 'ends' }, card.low, 'pixel value', card.high)),
    make('div', { className: 'entropy' }, make('span', {}, 'entropy'), card.entropy));
  return card;
}

function drawHistogram(card, total, range) {
  const { histogram, counts } = card;
  const context = histogram.getContext('2d');
  const { width, height } = histogram;
  const perBar = 2 * range / LEVEL / BARS;
  const first = counts.length / 2 - range / LEVEL;
  const densityOf = count => count / total / (perBar * LEVEL);
  const top = 0.85; // N(0, 1) peaks at 0.40; a photograph's own peaks may be cut off
  context.clearRect(0, 0, width, height);
  context.fillStyle = card.barColour;
  const barWidth = width / BARS;
  for (let bar = 0; bar < BARS; bar++) {
    let count = 0;
    for (let level = 0; level < perBar; level++) count += counts[first + bar * perBar + level];
    const tall = Math.min(1, densityOf(count) / top) * (height - 2);
    context.fillRect(bar * barWidth, height - tall, barWidth - 1, tall);
  }
  context.strokeStyle = card.curveColour;
  context.lineWidth = 2.5;
  context.beginPath();
  for (let pixel = 0; pixel <= width; pixel += 2) {
    const value = (pixel / width * 2 - 1) * range;
    const density = Math.exp(-value * value / 2) / Math.sqrt(2 * Math.PI);
    context.lineTo(pixel, height - density / top * (height - 2));
  }
  context.stroke();
}

function draw({ data, t: now, unscaled }, fresh) {
  if (fresh) {
    cards = data.schedules.map(schedule => build(schedule, data));
    root.replaceChildren(...cards.map(card => card.node));
    root.classList.toggle('many', cards.length > 3);
    colour();
  }
  const range = unscaled ? 10 : 4;
  root.classList.toggle('unscaled', unscaled);
  for (const card of cards) {
    const t = here.timeOf(card.schedule);
    const [a, b] = here.coefficients(card.schedule, t);
    card.counts ??= new Uint32Array(2 * 20 / LEVEL);
    paintBlend(card.image, data, a, b, card.counts, LEVEL);
    card.large.putImageData(card.image, 0, 0);
    card.small.putImageData(card.image, 0, 0);
    card.t.textContent = t;
    card.a.textContent = decimal(a);
    card.b.textContent = decimal(b);
    card.signal.textContent = decimal(card.schedule.signal[t]);
    card.noise.textContent = decimal(card.schedule.noise[t]);
    card.snr.textContent = `${decimal(card.schedule.snrDecibels[t], 1)} dB`;
    card.wrong.hidden = !unscaled;
    card.low.textContent = `−${range}`;
    card.high.textContent = range;
    drawHistogram(card, data.x0.length, range);
    card.entropy.textContent = `${entropy(card.counts, data.x0.length).toFixed(2)} bit`;
    card.picture.setAttribute('aria-label', `${card.schedule.title}: the picture at t = ${t}`);
  }
}

function colour() {
  for (const card of cards) {
    card.barColour = cssColour('--muted');
    card.curveColour = cssColour('--noise');
  }
}

here.on(root, draw);
onThemeChange(() => { colour(); if (cards.length) draw(here, false); });
