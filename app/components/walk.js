const { paintFrame, framed, sampleLine, whenItRests } = window.unnoise;
const root = element.querySelector('.walk');
const here = scene(root.dataset.scene);
const WRITE_MS = 40; // nobody reads numbers faster
let panels = [], writing = 0, writtenAt = 0;

// A lane's picture, on as many canvases as show it: decoded once a frame, copied to each.
class Painter {
  constructor(run, lane) {
    this.run = run;
    this.frames = run.lanes[lane];
    this.image = new ImageData(run.width, run.height);
    this.contexts = [];
    this.canvases = [];
    this.shown = -1;
  }

  canvas(label) {
    const canvas = make('canvas', { width: this.run.width, height: this.run.height });
    canvas.style.aspectRatio = this.run.width / this.run.height;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', label);
    this.canvases.push([canvas, label]);
    this.contexts.push(canvas.getContext('2d'));
    return canvas;
  }

  paint(index) {
    if (index === this.shown) return;
    this.shown = index;
    paintFrame(this.image, this.frames, index, this.run.channels);
    for (const context of this.contexts) context.putImageData(this.image, 0, 0);
  }
}

const live = (tag, className, value) => {
  const text = document.createTextNode('');
  return { node: make(tag, { className }, text), write: step => { text.data = value(step); } };
};

function build(run) {
  const painters = {};
  const painter = lane => (painters[lane] ??= new Painter(run, lane));
  const numbers = [];
  const number = (tag, className, value) => {
    const written = live(tag, className, value);
    numbers.push(written);
    return written.node;
  };

  const measured = key => {
    const measure = run.measures[key];
    if (!measure) return null;
    return number('small', 'measured', step => measure.text.replace('#', decimal(measure.values[step], measure.places)));
  };
  const shown = here.lanesOf(run);
  const figures = shown.map(({ key, symbol: sign, title, role }) =>
    make('figure', { className: role, title },
      painter(key).canvas(`${sign}: ${title}`),
      make('figcaption', {}, symbol(sign), make('small', {}, title),
        measured(key))));
  if (run.end) {
    const end = make('img', { src: framed(run.final, 0, run).toDataURL(), alt: `x_0: ${run.end}` });
    figures.push(make('figure', { className: 'signal end', title: run.end }, end,
      make('figcaption', {}, symbol('x_0'), make('small', {}, run.end))));
  }

  const token = factors => part => {
    if (part.text !== undefined) return make('span', { className: 'operator' }, part.text);
    if (part.picture !== undefined) {
      return make('figure', { className: part.role, title: part.hint, tabIndex: 0 },
        painter(part.picture).canvas(`${part.symbol}: ${part.hint}`),
        make('figcaption', {}, symbol(part.symbol)));
    }
    const value = number('b', '', step => decimal(factors[part.factor][step], 4));
    const node = make('span', { className: `factor ${part.role}`, title: `${part.symbol}: ${part.hint}` },
      value, make('small', {}, symbol(part.symbol)));
    node.dataset.factor = part.factor;
    return node;
  };
  const equation = ({ text, groups, factors }) => [
    make('p', { className: 'text' }, symbol(text)),
    make('div', { className: 'terms' }, ...groups.map(group => make('div', {}, ...group.map(token(factors))))),
  ];
  const equations = run.equations.filter(({ lane }) => !lane || shown.some(({ key }) => key === lane));
  const from = number('b', '', step => (run.tNext[step] === undefined ? '' : `t = ${run.t[step]} → ${run.tNext[step]}`));
  const which = number('span', 'muted', step => (here.data.rising ? say('training step {0}', run.t[step]) : say('step {0} of {1}', step + 1, run.steps)));
  const node = make('section', { className: 'panel' },
    make('h3', {}, sampleLine(run), make('span', {}, run.title), from, which),
    make('div', { className: 'figures' }, ...figures),
    equations.length ? make('div', { className: 'equation' }, ...equations.flatMap(equation)) : '');
  return { run, node, numbers, painters: Object.values(painters) };
}

function draw({ data, t }, fresh) {
  if (fresh) {
    panels = data.runs.map(build);
    root.replaceChildren(...panels.map(panel => panel.node));
    root.classList.toggle('pair', panels.length > 1 && !data.rising);
    root.classList.toggle('rising', Boolean(data.rising));
  }
  for (const { run, painters } of panels) {
    for (const painter of painters) painter.paint(run.at[t]);
  }
  describe();
  clearTimeout(writing);
  if (fresh || performance.now() - writtenAt > WRITE_MS) write();
  else writing = setTimeout(write, WRITE_MS);
}

function write() {
  writtenAt = performance.now();
  for (const { run, numbers } of panels) {
    const step = run.kept[run.at[here.t]];
    for (const number of numbers) number.write(step);
  }
}

const describe = whenItRests(() => {
  for (const { run, painters } of panels) {
    const t = run.t[run.kept[run.at[here.t]]];
    const where = here.data.rising ? say('after {0} steps', t) : say('at t = {0}', t);
    for (const [canvas, label] of painters.flatMap(painter => painter.canvases)) canvas.setAttribute('aria-label', `${label}, ${where}`);
  }
});

here.on(root, draw);
